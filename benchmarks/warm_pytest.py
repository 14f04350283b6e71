"""Runs pytest again and again without importing the libraries again.

The process imports what the tests need and none of our packages, then forks once per request: the
child imports our packages anew from the folder that it was started in, runs the tests that the
request names, and answers with what they said. Requests and answers are JSON, one per line:

    {"tests": ["tests/a.py::test_b"], "module": "theory/scales/shares.py", "seconds": 60}
    {"outcome": "failed", "failed": [...], "broken": [...], "passed": 3, "imported": true}

``outcome`` is ``passed``, ``failed`` where a test's own body failed, ``broken`` where only
collection or a fixture did, ``timeout``, or ``crashed`` where the process died. ``imported`` says
whether the module of the request was really imported from this folder. ``seconds`` of a request are
seconds of computing.
"""

import gc
import json
import os
import resource
import select
import signal
import sys
import tempfile
import time
import traceback
import warnings
from math import ceil
from pathlib import Path
from typing import Any

import pytest

LIBRARIES = (
    "jinja2",
    "matplotlib.pyplot",
    "mpmath",
    "numpy",
    "polars",
    "rich",
    "scipy.optimize",
    "scipy.sparse.linalg",
    "scipy.stats",
    "sympy",
    "torch",
    "torch._dynamo",
    "torch.func",
    "tyro",
)
BARE = ("-o", "addopts=--import-mode=importlib --strict-markers --doctest-modules")
"""Our usual options but for the checks of shapes at run time, which cost seconds at each import and
would notice a fault in a test's place."""
STANDSTILL = 30
"""Times the seconds of computing that a request allows: a run that lasts longer stands still."""
ANSWER = "WARM-PYTEST "
"""Before each answer, to tell it from what the tests print."""


class Outcomes:
    """What pytest reports, test by test."""

    def __init__(self, cover: Any = None) -> None:
        self.cover = cover
        self.failed: list[str] = []
        self.broken: list[str] = []
        self.passed = 0
        self.seconds: dict[str, float] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Count the lines that are run from here as this test's."""
        if self.cover is not None:
            self.cover.switch_context(nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Sort one phase of one test."""
        if report.when == "call":
            self.seconds[report.nodeid] = report.duration
        if report.failed:
            (self.failed if report.when == "call" else self.broken).append(report.nodeid)
        elif report.when == "call" and report.passed:
            self.passed += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Note what could not be collected."""
        if report.failed:
            self.broken.append(report.nodeid)

    def outcome(self, code: int) -> str:
        """Sum up; a run without a test is broken, as is one that pytest could not start."""
        if self.failed:
            return "failed"
        return "passed" if code == 0 and self.passed and not self.broken else "broken"


def run_tests(request: dict[str, Any], here: Path) -> dict[str, Any]:
    """Run the tests of one request in this process."""
    cover = _coverage(request["cover"], here) if "cover" in request else None
    seen = Outcomes(cover)
    options = [
        *BARE,
        "-q",
        "-p",
        "no:cacheprovider",
        "--no-header",
        *request.get("options", ["-x"]),
    ]
    code = int(pytest.main([*request["tests"], *options], plugins=[seen]))
    module, lines = request.get("module"), {}
    if cover is not None:
        cover.stop()
        data = cover.get_data()
        for name in request["cover"]:
            lines[name] = data.contexts_by_lineno(str(here / name))
    files = {str(getattr(m, "__file__", "")) for m in [*sys.modules.values()]}
    return {
        "outcome": seen.outcome(code),
        "failed": seen.failed,
        "broken": seen.broken,
        "passed": seen.passed,
        "seconds": seen.seconds,
        "lines": lines,
        "imported": module is None or str(here / module) in files,
    }


def _coverage(modules: list[str], here: Path) -> Any:
    """Watch which lines of some modules run."""
    import coverage  # pyright: ignore[reportMissingImports]

    found = coverage.Coverage(
        data_file=None, include=[str(here / name) for name in modules], config_file=False
    )
    found.start()
    return found


def _child(request: dict[str, Any], here: Path, answer: int, log: str) -> None:
    os.setsid()
    out = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.dont_write_bytecode = not request.get("bytecode", False)
    # Seconds of computing: on busy cores a run takes longer and is no slower.
    limit = ceil(request.get("seconds", 120))
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    found = run_tests(request, here)
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(json.dumps(found).encode())


def serve(request: dict[str, Any], here: Path, log: str) -> dict[str, Any]:
    """Answer one request in a forked child."""
    reading, writing = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        try:
            _child(request, here, writing, log)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    os.close(writing)
    content = b""
    limit = start + STANDSTILL * request.get("seconds", 120)
    while (left := limit - time.monotonic()) > 0:
        if not select.select([reading], [], [], left)[0]:
            break
        chunk = os.read(reading, 1 << 16)
        if not chunk:
            break
        content += chunk
    timed_out = time.monotonic() >= limit
    os.close(reading)
    if timed_out or not content:
        os.killpg(child, signal.SIGKILL) if timed_out else None
    _, status = os.waitpid(child, 0)
    timed_out |= os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
    taken = time.monotonic() - start
    if not content or timed_out:
        found = {"outcome": "timeout" if timed_out else "crashed", "failed": [], "broken": []}
        return found | {"passed": 0, "imported": False, "taken": taken}
    return json.loads(content) | {"taken": taken}


def _first_derivative() -> None:
    """Take one forward derivative: torch compiles its rules at the first of a process."""
    import torch

    x = torch.ones(2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.func.jvp(lambda y: y.softmax(0), (x,), (x,))


def main() -> None:
    """Serve until standard input ends."""
    here = Path.cwd()
    sys.path[0] = str(here)
    for name in LIBRARIES:
        __import__(name)
    _first_derivative()
    ours = {"theory", "proofs", "numerics", "tfixup"} & set(sys.modules)
    assert not ours, f"the libraries brought our own packages in: {ours}"
    gc.freeze()  # what is imported by now is never garbage: the children need not look at it
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            log = str(Path(folder) / "log")
            found = serve(json.loads(line), here, log)
            found["log"] = Path(log).read_text(errors="replace")[-4000:]
            print(ANSWER + json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
