"""Runs cvc5 in a process of its own, because it does not always keep to its own time limit."""

import multiprocessing
from multiprocessing.connection import Connection
from types import TracebackType

import cvc5


class Rechecker:
    """Reads SMT-LIB 2 files and answers ``sat``, ``unsat`` or ``unknown`` in bounded time.

    Examples
    --------
    >>> with Rechecker() as cvc5_process:
    ...     cvc5_process.status("(set-logic QF_NRA)(declare-fun x () Real)"
    ...                         "(assert (< (* x x) 0.0))(check-sat)", 20.0)
    'unsat'
    """

    def __enter__(self) -> "Rechecker":
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def status(self, text: str, seconds: float) -> str:
        """The answer of cvc5 on the file; ``unknown`` when the time is up."""
        self._connection.send(text)
        try:
            if self._connection.poll(seconds):
                return str(self._connection.recv())
        except EOFError:
            pass
        self._stop()
        self._start()
        return "unknown"

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        self._process.start()
        theirs.close()

    def _stop(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()


def serve(connection: Connection) -> None:
    """Answer questions until the other end is closed."""
    while True:
        try:
            text = connection.recv()
        except EOFError:
            return
        connection.send(answer(text))


def answer(text: str) -> str:
    """Status that cvc5 gives to an SMT-LIB 2 file, however long it takes.

    Examples
    --------
    >>> answer("(set-logic QF_LRA)(declare-fun x () Real)(assert (< 0.0 x))(check-sat)")
    'sat'
    """
    solver = cvc5.Solver(cvc5.TermManager())
    parser = cvc5.InputParser(solver)
    parser.setStringInput(cvc5.InputLanguage.SMT_LIB_2_6, text, "statement")
    symbols, said = parser.getSymbolManager(), ""
    while not (command := parser.nextCommand()).isNull():
        said += str(command.invoke(solver, symbols))
    return said.strip() or "unknown"
