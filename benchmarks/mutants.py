"""Mutation testing: the tests' power to notice programs that are altered at random in one place.

Run as ``python -m benchmarks.mutants`` or ``make mutants``, with the extra ``mutation``.
A group of modules is tested by the folders of its tests and by the modules' own examples. These
tests run once under coverage, test by test. Mutants are drawn without replacement from all that
mutmut's operators make of the group's modules, by a stated seed. Each runs against the tests that
reach its line, the fastest first, in a fork of a warm process (`benchmarks.mutated_copy`).

A mutant is *killed* by a failing test, by a module that no longer imports, or by a test that runs
`PATIENCE` times as long as before. It *survives* where all tests pass or none reaches it. Changes
inside a string are not drawn: they change no mathematics. The share that is killed is an estimate
from a sample, so it is stored with Wilson's interval. Reasons why survivors change nothing are
read from ``results/mutation/reasons.json`` (module and difference → reason).

The tests are the fast ones of the named folders, with those that the fast run leaves out for their
number alone (marker ``many``), and in the groups that say so those of other people's models (marker
``models``). Slow tests are left out, so that a share is a lower bound on what the whole suite
kills.
"""

import argparse
import difflib
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.mutated_copy import ROOT, MutatedCopy, Ran, mutated_copy
from numerics.stores.files import write_json
from numerics.stores.provenance import Provenance, command_line, provenance

FAST = "(not slow or many) and not chromium and not coq and not gpu"
WITHOUT_MODELS = f"{FAST} and not models"
PATIENCE = 5.0
BUDGET = 40.0
"""Seconds of tests per mutant, as they last unaltered; more tests than fit are left out."""
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Group:
    """Modules that are altered, and where their tests stand."""

    modules: tuple[str, ...]
    """Patterns of files."""
    tests: tuple[str, ...]
    """Folders and files."""
    marked: str = WITHOUT_MODELS
    """Which tests of these, by their markers."""


GROUPS: Mapping[str, Group] = {
    "measuring core": Group(
        ("numerics/linearization/*.py", "numerics/measure/*.py"),
        ("tests/numerics/linearization", "tests/numerics/measure"),
    ),
    "closed forms": Group(
        ("numerics/linearization/closed_form/*.py",),
        ("tests/numerics/linearization", "tests/numerics/measure"),
    ),
    "schemes": Group(("numerics/schemes/*.py",), ("tests/numerics/schemes",)),
    "statistics": Group(
        ("numerics/statistics/*.py",),
        ("tests/numerics/statistics",),
    ),
    "decision rules": Group(
        (
            "theory/claims.py",
            "numerics/training/outcome.py",
            "numerics/training/experiments/plateau.py",
            "numerics/training/experiments/power.py",
            "numerics/training/experiments/selection.py",
            "numerics/statistics/growth_laws.py",
            "numerics/evidence/experiment_rows.py",
        ),
        (
            "tests/theory/test_claims.py",
            "tests/numerics/training/test_outcome.py",
            "tests/numerics/training/experiments",
            "tests/numerics/evidence/test_rules.py",
            "tests/numerics/evidence/test_experiments.py",
            "tests/numerics/statistics",
        ),
    ),
    "structure": Group(
        ("numerics/structure/*.py",),
        (
            "tests/numerics/structure",
            "tests/models/test_structures.py",
            "tests/numerics/own_model",
        ),
        FAST,
    ),
    "recipes": Group(
        ("numerics/recipes/*.py",), ("tests/numerics/recipes", "tests/numerics/own_model")
    ),
    "conditions and solver": Group(
        ("theory/scales/*.py", "theory/parametrisations/*.py"),
        (
            "tests/theory/scales",
            "tests/theory/parametrisations",
            "tests/theory/arguments",
            "tests/theory/test_arguments.py",
            "tests/numerics/cli/test_solve.py",
            "tests/numerics/cli/test_solve_recipe.py",
            "tests/numerics/schemes/test_schemes.py",
            "tests/numerics/recipes/test_solved.py",
            "tests/numerics/recipes/test_solved_sizes.py",
        ),
    ),
}


@dataclass(frozen=True)
class Mutant:
    """A module with one alteration."""

    module: str
    line: int
    last: int
    text: str
    difference: str


@dataclass(frozen=True)
class Fate:
    """What became of a mutant."""

    module: str
    line: int
    difference: str
    fate: str
    """``killed``, ``timeout``, ``unimportable``, ``survived`` or ``not reached``."""
    by: str
    """The first test that failed."""
    tests: int
    """How many tests ran against it at most."""
    reason: str = ""


def modules_of(group: Group, root: Path) -> list[str]:
    """The files of a group, but for those that only import."""
    found = {path for pattern in group.modules for path in root.glob(pattern)}
    return sorted(str(p.relative_to(root)) for p in found if p.name != "__init__.py")


def drawn(group: Group, count: int, seed: int, root: Path) -> tuple[list[Mutant], int]:
    """A sample without replacement of the mutants of a copy's modules, and how many there are."""
    import libcst  # pyright: ignore[reportMissingImports]
    from mutmut.mutation.file_mutation import (  # pyright: ignore[reportMissingImports]
        create_mutations,
    )

    every: list[tuple[str, Any, Any]] = []
    for module in modules_of(group, root):
        tree, mutations, *_ = create_mutations(module, (root / module).read_text("utf-8"))
        every += [
            (module, tree, mutation)
            for mutation in mutations
            if not isinstance(mutation.original_node, libcst.BaseString)
        ]
    chosen = random.Random(seed).sample(every, min(count, len(every)))
    return [_mutant(*one) for one in chosen], len(every)


def _mutant(module: str, tree: Any, mutation: Any) -> Mutant:
    from libcst.metadata import (  # pyright: ignore[reportMissingImports]
        MetadataWrapper,
        PositionProvider,
    )
    from mutmut.mutation.file_mutation import (  # pyright: ignore[reportMissingImports]
        deep_replace,
    )

    altered: Any = deep_replace(tree, mutation.original_node, mutation.mutated_node)
    places = MetadataWrapper(tree, unsafe_skip_copy=True).resolve(PositionProvider)
    place = places[mutation.original_node]
    lines = difflib.unified_diff(
        tree.code.splitlines(), altered.code.splitlines(), lineterm="", n=0
    )
    difference = "\n".join(s for s in lines if s[:1] in "+-" and s[:3] not in ("+++", "---"))
    return Mutant(module, place.start.line, place.end.line, altered.code, difference)


def reached(copy: MutatedCopy, group: Group) -> Ran:
    """Run all tests of a group once, unaltered, with the lines that each of them reaches."""
    modules = modules_of(group, copy.folder)
    ran = copy.run(
        [*group.tests, *modules],
        seconds=1500,
        options=["-m", group.marked],
        cover=modules,
        bytecode=True,
    )
    if ran.outcome != "passed":
        raise SystemExit(f"the unaltered tests must pass: {ran.outcome} {ran.failed} {ran.log}")
    return ran


def tests_of(mutant: Mutant, ran: Ran) -> list[str]:
    """Tests that reach a mutant's lines, the fastest first, as many as `BUDGET` allows.

    Whatever stands on a line that runs when the module is imported may be read by any test. Half of
    the budget is then for those that the module's other lines run in, the rest for all others.
    """
    lines = ran.lines.get(mutant.module, {})
    names: set[str] = set()
    for line in range(mutant.line, mutant.last + 1):
        names |= set(lines.get(str(line), ()))
    parts = [(names, BUDGET)]
    if "" in names:
        inside = {name for own in lines.values() for name in own}
        parts = [(inside, BUDGET / 2), ({*ran.seconds} - inside, BUDGET)]
    found, total = [], 0.0
    for part, limit in parts:
        for name in sorted(part & {*ran.seconds}, key=ran.seconds.__getitem__):
            if total + ran.seconds[name] > limit and found:
                break
            total += ran.seconds[name]
            found.append(name)
    return found


def fate_of(copy: MutatedCopy, mutant: Mutant, ran: Ran) -> Fate:
    """Run a mutant's tests."""
    tests = tests_of(mutant, ran)
    own = (mutant.module, mutant.line, mutant.difference)
    if not tests:
        return Fate(*own, "not reached", "", 0)
    limit = 30 + PATIENCE * sum(ran.seconds[name] for name in tests)
    with copy.altered(mutant.module, mutant.text):
        found = copy.run(tests, module=mutant.module, seconds=limit)
    if found.outcome == "failed":
        return Fate(*own, "killed", found.failed[0], len(tests))
    if found.outcome == "passed":
        # A line that runs at import is met by the tests that import its module, which are not
        # among the fastest of all.
        return Fate(*own, "survived" if found.imported else "not reached", "", len(tests))
    fate = "timeout" if found.outcome == "timeout" else "unimportable"
    return Fate(*own, fate, ", ".join(found.broken[:1]), len(tests))


def table(
    fates: Sequence[Fate], every: int, seconds: float, reasons: Mapping[str, str]
) -> dict[str, Any]:
    """One group's numbers and its survivors."""
    from scipy.stats import binomtest

    survivors = [f for f in fates if f.fate in ("survived", "not reached")]
    killed = len(fates) - len(survivors)
    ends = binomtest(killed, len(fates)).proportion_ci(CONFIDENCE, method="wilson")
    told = [asdict(f) | {"reason": reasons.get(key_of(f), "")} for f in survivors]
    equivalent = sum(bool(one["reason"]) for one in told)
    return {
        "mutants": every,
        "sampled": len(fates),
        "killed": killed,
        "share": killed / len(fates),
        "interval": [float(ends.low), float(ends.high)],
        "survivors_with_a_reason": equivalent,
        "share_of_those_that_change_something": killed / max(len(fates) - equivalent, 1),
        "by_fate": dict(Counter(f.fate for f in fates)),
        "seconds": round(seconds, 1),
        "survivors": told,
    }


def key_of(fate: Fate) -> str:
    """Under what a survivor's reason stands."""
    return f"{fate.module}: {fate.difference}"


def main() -> None:
    """Sample, run and record the groups that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "results" / "mutation")
    parser.add_argument("--groups", nargs="*", choices=GROUPS, default=[*GROUPS])
    parser.add_argument("--sample", type=int, default=40, help="mutants per group")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reasons_file = options.out / "reasons.json"
    reasons = json.loads(reasons_file.read_text()) if reasons_file.exists() else {}
    # The commit that the copy is made of, and not one that follows while the mutants run.
    made_of = provenance(
        command=command_line(),
        config={},
        seed=options.seed,
        device="cpu",
        dtype="none",
        seconds=0.0,
    )
    with mutated_copy() as copy:
        for name in options.groups:
            start = time.perf_counter()
            chosen, every = drawn(GROUPS[name], options.sample, options.seed, copy.folder)
            ran = reached(copy, GROUPS[name])
            fates = []
            for mutant in chosen:
                fates.append(fate_of(copy, mutant, ran))
                print(f"{name}: {fates[-1].fate}: {mutant.module}:{mutant.line}", flush=True)
            seconds = time.perf_counter() - start
            _record(options, name, table(fates, every, seconds, reasons), made_of)


def _record(
    options: argparse.Namespace, name: str, found: dict[str, Any], made_of: Provenance
) -> None:
    """Write one group's table at once, so that a run that is stopped leaves whole tables."""
    config = {"group": name, "sample": options.sample, **asdict(GROUPS[name])}
    record = replace(made_of, config=config, seconds=found["seconds"])
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"{name.replace(' ', '_')}.json"
    write_json(target, {"group": name, **found, "provenance": record})
    low, high = found["interval"]
    print(f"{name}: {found['killed']} of {found['sampled']} killed [{low:.1%}, {high:.1%}]")


if __name__ == "__main__":
    main()
