"""Compiles ``proofs/coq`` and reports each theorem: proved, not proved, or not checked.

Everything happens in a temporary folder, from the current sources. The files compile in the order
of their imports, as many at once as there are cores. One ``Print Assumptions`` over all results
lists the axioms on which they rest. Every altered statement is compiled against the real files and
must be rejected at or after the place of the change. An error before it, or a time-out, is not a
rejection. The outcome of ``coqc`` on the same text, with the same prover and requirements, is
remembered (``compilation_cache``).
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from proofs.compilation_cache import CompilationCache, Compiled, default_folder, digest, toolchain
from proofs.result import Altered, Machine, Result, evidence
from proofs.supports import SUPPORTS
from proofs.theorems import THEOREMS, Alteration, Theorem
from theory.claims import Context, Evidence, Kind, Level, provides

SOURCES = Path(__file__).parent / "coq"
ALLOWED = (
    "ClassicalDedekindReals.sig_not_dec",
    "ClassicalDedekindReals.sig_forall_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
    "Classical_Prop.classic",
)
"""The axioms of Coq's classical real numbers."""
INSTALL = "apt-get install -y --no-install-recommends coq libcoq-coquelicot"
WRITTEN_FOR = "8.16.1"
TIMEOUT_S = 120
"""Time limit in seconds for one file; the slowest takes a few seconds."""


@dataclass(frozen=True)
class CoqJob:
    """One file to compile, with the files that must exist before."""

    name: str
    text: str
    needs: tuple[str, ...]


def required() -> bool:
    """Whether the environment requires Coq (``REQUIRE_COQ=1``)."""
    return os.environ.get("REQUIRE_COQ", "") not in ("", "0")


def unusable() -> str:
    """One line that says why Coq cannot be used here; empty if it can."""
    found = shutil.which("coqc")
    return "" if found else f"coqc is not installed: {INSTALL}"


def version() -> str:
    """Version of ``coqc``, or ``unknown``."""
    try:
        ran = subprocess.run(
            ["coqc", "--print-version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return ran.stdout.split()[0] if ran.stdout.split() else "unknown"


def sources() -> dict[str, str]:
    """Text of every ``.v`` file, by name."""
    return {path.stem: path.read_text("utf-8") for path in sorted(SOURCES.glob("*.v"))}


def imports(text: str) -> tuple[str, ...]:
    """Files of ``proofs/coq`` that a file requires.

    Examples
    --------
    >>> imports("From TFixup Require Import FiniteSums Attention.")
    ('FiniteSums', 'Attention')
    """
    found = re.findall(r"From TFixup Require Import ([^.]*)\.", text)
    return tuple(name for names in found for name in names.split())


def altered_text(text: str, theorem: str, change: Alteration) -> tuple[str, int]:
    """The file up to the end of ``theorem`` with the change made, and the line it is made on.

    Raises
    ------
    ValueError
        If the text to replace is not there exactly once.
    """
    opening = re.search(rf"^(?:Theorem|Lemma) {re.escape(theorem)}\b", text, re.MULTILINE)
    if opening is None:
        raise ValueError(f"no theorem {theorem} in the file")
    start = opening.start()
    proof = text.index("\nProof.", start)
    end = text.index("\nQed.", proof) + len("\nQed.\n")
    places = [start + m.start() for m in re.finditer(re.escape(change.old), text[start:proof])]
    if not places:
        places = [m.start() for m in re.finditer(re.escape(change.old), text[:start])]
    if len(places) != 1:
        raise ValueError(f"{theorem}: {change.old!r} occurs {len(places)} times, not once")
    (place,) = places
    changed = text[:place] + change.new + text[place + len(change.old) : end]
    return changed, text.count("\n", 0, place) + 1


def run_coqc(folder: Path, name: str, timeout: float = TIMEOUT_S) -> Compiled:
    """Compile one file of a folder."""
    start = time.perf_counter()
    command = ["coqc", "-q", "-w", "none", "-Q", ".", "TFixup", f"{name}.v"]
    try:
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        problem = f"coqc took more than {timeout:.0f} s over {name}.v"
        return Compiled(False, 0, problem, "", time.perf_counter() - start)
    except OSError as failure:
        return Compiled(False, 0, f"coqc cannot be run: {failure}", "", 0.0)
    seconds = time.perf_counter() - start
    if ran.returncode == 0:
        return Compiled(True, 0, "", ran.stdout, seconds)
    line, problem = _diagnosis(name, ran.stderr + ran.stdout)
    return Compiled(False, line, problem, ran.stdout, seconds)


def _diagnosis(name: str, output: str) -> tuple[int, str]:
    """Line of the error, and one line that says what is wrong."""
    if "Coquelicot" in output and "Cannot find a physical path" in output:
        return 0, f"Coquelicot is not installed: {INSTALL}"
    if "bad version number" in output or "inconsistent assumptions" in output:
        return 0, f"libraries of another Coq than coqc {version()}; written for {WRITTEN_FOR}"
    place = re.search(r"line (\d+), characters", output)
    first = next(
        (text.strip() for text in output.partition("Error:")[2].splitlines() if text.strip()),
        output.strip().partition("\n")[0] or "no message",
    )
    where = f", line {place[1]}" if place else ""
    note = "" if version() == WRITTEN_FOR else f" (coqc {version()}, written for {WRITTEN_FOR})"
    return int(place[1]) if place else 0, f"{name}.v{where}: {first}{note}"


def keys_of(jobs: list[CoqJob]) -> dict[str, str]:
    """A digest per job of all that its outcome depends on: the prover, its text, what it needs."""
    by_name = {job.name: job for job in jobs}
    found: dict[str, str] = {}

    def key(name: str) -> str:
        if name not in found:
            job = by_name[name]
            found[name] = digest(toolchain(), name, job.text, *map(key, job.needs))
        return found[name]

    return {name: key(name) for name in by_name}


def compile_all(
    folder: Path, jobs: list[CoqJob], workers: int, cache: CompilationCache | None = None
) -> dict[str, Compiled]:
    """Compile every job once what it needs is compiled; one that needs a failed file is not tried.

    Jobs that are ready start in the order of the list. A job whose outcome ``cache`` remembers is
    not compiled again.
    """
    keys = {} if cache is None else keys_of(jobs)

    def compiled(name: str) -> Compiled:
        result = folder / f"{name}.vo"
        remembered = cache.recall(keys[name], result) if cache else None
        if remembered is not None:
            return remembered
        fresh = run_coqc(folder, name)
        if cache:
            cache.keep(keys[name], fresh, result)
        return fresh

    waiting, done = list(jobs), {}
    running: dict[Future[Compiled], str] = {}
    with ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            for job in list(waiting):
                broken = [n for n in job.needs if n in done and not done[n].succeeded]
                if broken:
                    problem = f"{job.name}.v needs {broken[0]}.v: {done[broken[0]].problem}"
                    done[job.name] = Compiled(False, 0, problem, "", 0.0)
                elif len(running) < workers and all(need in done for need in job.needs):
                    (folder / f"{job.name}.v").write_text(job.text, "utf-8")
                    running[pool.submit(compiled, job.name)] = job.name
                else:
                    continue
                waiting.remove(job)
            for finished in wait(running, return_when=FIRST_COMPLETED).done:
                done[running.pop(finished)] = finished.result()
    return done


def assumptions(output: str) -> tuple[str, ...]:
    r"""Names of the axioms in the output of ``Print Assumptions``.

    Examples
    --------
    >>> assumptions("Axioms:\nClassical_Prop.classic : forall P : Prop, P")
    ('Classical_Prop.classic',)
    """
    _, _, listed = output.partition("Axioms:\n")
    return tuple(re.findall(r"^([\w.']+)\s*(?::|$)", listed, re.MULTILINE))


def check(
    theorems: tuple[Theorem, ...] = THEOREMS,
    *,
    texts: Mapping[str, str] | None = None,
    alter: Callable[[Theorem], tuple[Alteration, ...]] = lambda theorem: theorem.alterations,
    workers: int | None = None,
    cache: Path | None = None,
) -> tuple[Result, ...]:
    """Compile everything, list the axioms, try the altered statements.

    Parameters
    ----------
    theorems
        What to report.
    texts
        Files by name; those of ``proofs/coq`` by default.
    alter
        Which alterations of a theorem to try; all by default.
    workers
        Files compiled at once; one per core unless given.
    cache
        Folder of remembered outcomes; nothing is remembered unless given.
    """
    files = dict(sources() if texts is None else texts)
    reason = unusable()
    if reason:
        return tuple(_unchecked(theorem, reason) for theorem in theorems)
    real = [CoqJob(name, text, imports(text)) for name, text in files.items()]
    real.sort(key=lambda job: -_height(job.name, files))
    audit = CoqJob("Audit", audit_text(theorems), tuple(files))
    attempts = {theorem.name: _attempts(theorem, alter(theorem), files) for theorem in theorems}
    altered = [attempt.job for of in attempts.values() for attempt in of]
    with tempfile.TemporaryDirectory(prefix="tfixup-coq-") as name:
        jobs = [*real, audit, *altered]
        remembered = None if cache is None else CompilationCache(cache)
        done = compile_all(Path(name), jobs, workers or os.cpu_count() or 1, remembered)
    return tuple(
        _result(theorem, done[theorem.file], done["Audit"], attempts[theorem.name], done)
        for theorem in theorems
    )


@dataclass(frozen=True)
class Attempt:
    """An altered statement to compile, and the line of the change."""

    what: str
    job: CoqJob
    line: int

    def outcome(self, compiled: Compiled) -> Altered:
        """Rejected when Coq finds an error, and not before the change."""
        return Altered(self.what, compiled.refused and compiled.line >= self.line)


def _attempts(
    theorem: Theorem, changes: tuple[Alteration, ...], files: Mapping[str, str]
) -> tuple[Attempt, ...]:
    found = []
    for index, change in enumerate(changes):
        text, line = altered_text(files[theorem.file], theorem.name, change)
        job = CoqJob(f"Altered_{theorem.name}_{index}", text, imports(text))
        found.append(Attempt(change.what, job, line))
    return tuple(found)


def _height(name: str, files: Mapping[str, str]) -> int:
    """Length of the longest chain of files that wait for this one."""
    users = [other for other, text in files.items() if name in imports(text)]
    return 1 + max((_height(user, files) for user in users), default=0)


def audit_text(theorems: tuple[Theorem, ...]) -> str:
    """A file that prints the assumptions of all theorems at once."""
    needed = dict.fromkeys(theorem.file for theorem in theorems)
    names = ", ".join(f"@{theorem.name}" for theorem in theorems)
    return (
        f"From TFixup Require Import {' '.join(needed)}.\n"
        f"Definition results := ({names}).\nPrint Assumptions results.\n"
    )


def _unchecked(theorem: Theorem, reason: str) -> Result:
    return Result(Machine.COQ, theorem.name, theorem.statement, None, (), problem=reason)


def _result(
    theorem: Theorem,
    compiled: Compiled,
    audit: Compiled,
    attempts: tuple[Attempt, ...],
    done: Mapping[str, Compiled],
) -> Result:
    if not compiled.succeeded:
        return _unchecked(theorem, compiled.problem)
    if not audit.succeeded:
        return _unchecked(theorem, f"its axioms could not be listed: {audit.problem}")
    axioms = assumptions(audit.output)
    foreign = [axiom for axiom in axioms if axiom not in ALLOWED]
    altered = tuple(attempt.outcome(done[attempt.job.name]) for attempt in attempts)
    problems = (
        f"{attempt.what}: {done[attempt.job.name].problem or 'not rejected'}"
        for attempt, item in zip(attempts, altered, strict=True)
        if not item.rejected
    )
    return Result(
        Machine.COQ,
        theorem.name,
        theorem.statement,
        not foreign,
        altered,
        axioms,
        compiled.seconds,
        f"rests on {', '.join(foreign)}" if foreign else next(problems, ""),
        {"file": f"{theorem.file}.v"},
    )


@provides(*dict.fromkeys(support.claim for support in SUPPORTS), kind=Kind.PROOF)
def theorems(context: Context) -> Iterator[Evidence]:
    """Every Coq theorem; at the quick level one altered statement for each piece of evidence."""
    folder = default_folder()
    full = context.level is Level.FULL
    results = check(cache=folder) if full else check(alter=_leading, cache=folder)
    yield from (evidence(support, results) for support in SUPPORTS)


def _leading(theorem: Theorem) -> tuple[Alteration, ...]:
    """The first alteration of a theorem that is the first evidence of a claim."""
    leads = any(support.statements[0] == theorem.name for support in SUPPORTS)
    return theorem.alterations[:1] if leads else ()


PROVIDERS = (theorems,)
