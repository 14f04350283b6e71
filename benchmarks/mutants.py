"""Mutation testing of the theory's core: how many altered programs its tests notice.

Run as ``python -m benchmarks.mutants``, with mutmut installed (extra ``mutation``). The committed
tree is cloned to a scratch folder, mutmut alters the five modules one operator or constant at a
time, and the tests of those modules run on each mutant. Mutants of prose alone (a word of a step's
reason, an error's text) are counted apart: they change no mathematics. The summary with every
survivor and its difference goes to ``results/mutation/summary.json``; reasons for survivors are
read from ``results/mutation/reasons.json`` (name → reason) and kept.
"""

import argparse
import ast
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from numerics.results import command_line, provenance
from numerics.stores.files import write_json

MODULES = ("attention", "conditions", "scales", "skip_path", "adaptive_moments")
TESTS = (
    "test_conditions",
    "test_skip_path",
    "test_attention",
    "test_scales",
    "test_presets",
    "test_adaptive_moments",
    "test_rectification",
)
MUTMUT = str(Path(sys.executable).parent / "mutmut")
SURVIVED = 0
NOT_COVERED = 33


def prepare(folder: Path) -> None:
    """Clone the committed tree and write mutmut's configuration."""
    subprocess.run(["git", "clone", "--quiet", ".", str(folder)], check=True)
    lines = {
        "source_paths": ["theory"],
        "only_mutate": [f"theory/{name}.py" for name in MODULES],
        "pytest_add_cli_args_test_selection": [f"tests/theory/{name}.py" for name in TESTS],
        "also_copy": ["tests/theory", "pyproject.toml"],
    }
    text = "[mutmut]\n" + "".join(
        f"{key}=\n" + "".join(f"    {value}\n" for value in values) for key, values in lines.items()
    )
    (folder / "setup.cfg").write_text(text)
    # Warnings of the mutation runner's own plug-ins must not fail the tests.
    project = (folder / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(
        project.replace('  "--nbmake",\n', "").replace('filterwarnings = ["error"]\n', "")
    )


class _NoWords(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """Blank a string, and the None that may stand for it."""
        return ast.Constant("") if isinstance(node.value, str | None) else node


def _functions(module: Path) -> dict[str, str]:
    """Every function of a mutated module, by name, as code without its words."""
    tree = ast.parse(module.read_text())
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            name, node.name = node.name, ""
            found[name] = ast.dump(_NoWords().visit(node))
    return found


def _outcomes(folder: Path) -> Iterator[tuple[str, str, int | None, bool]]:
    """(module, mutant, exit code or None where it was not run, whether only words changed)."""
    for name in MODULES:
        mutated = folder / "mutants" / "theory" / f"{name}.py"
        functions = _functions(mutated)
        codes = json.loads(mutated.with_suffix(".py.meta").read_text())["exit_code_by_key"]
        for mutant, code in codes.items():
            short = mutant.rpartition(".")[2]
            original = short.rpartition("__mutmut_")[0] + "__mutmut_orig"
            yield name, mutant, code, functions.get(short) == functions.get(original)


def _difference(folder: Path, mutant: str) -> str:
    shown = subprocess.run(
        [MUTMUT, "show", mutant],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    lines = shown.splitlines()
    return "\n".join(s for s in lines if s[:1] in "+-" and s[:3] not in ("+++", "---"))


def summarise(folder: Path, reasons: dict[str, str]) -> dict[str, object]:
    """Killed and surviving mutants by module, and each survivor with its difference."""
    killed: Counter[str] = Counter()
    total: Counter[str] = Counter()
    words: Counter[str] = Counter()
    unrun: Counter[str] = Counter()
    survivors = []
    for name, mutant, code, prose in _outcomes(folder):
        if prose:
            words[name] += 1
            continue
        if code is None:
            unrun[name] += 1
            continue
        total[name] += 1
        if code in (SURVIVED, NOT_COVERED):
            survivors.append(
                {
                    "mutant": mutant,
                    "covered": code != NOT_COVERED,
                    "difference": _difference(folder, mutant),
                    "reason": reasons.get(mutant, ""),
                }
            )
        else:
            killed[name] += 1
    return {
        "modules": {
            name: {
                "mutants": total[name],
                "killed": killed[name],
                "share": killed[name] / max(total[name], 1),
                "prose_mutants_left_out": words[name],
                "not_run": unrun[name],
            }
            for name in MODULES
        },
        "share": sum(killed.values()) / max(sum(total.values()), 1),
        "survivors": survivors,
    }


def main() -> None:
    """Run mutmut on a clone and write the summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("results/mutation"))
    parser.add_argument("--folder", type=Path, help="scratch folder, to go on with an earlier run")
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--no-run", action="store_true", help="summarise what was run before")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="mutants-"))
    if not (folder / "setup.cfg").exists():
        prepare(folder)
    start = time.perf_counter()
    run = [MUTMUT, "run", "--max-children", str(options.children)]
    if not options.no_run:
        subprocess.run(run, cwd=folder, check=True)
    reasons_file = options.out / "reasons.json"
    reasons = json.loads(reasons_file.read_text()) if reasons_file.exists() else {}
    record = provenance(
        command=command_line(),
        config={"modules": MODULES, "tests": TESTS, "children": options.children},
        seed=0,
        device="cpu",
        dtype="none",
        seconds=time.perf_counter() - start,
    )
    document = summarise(folder, reasons) | {"provenance": record}
    options.out.mkdir(parents=True, exist_ok=True)
    write_json(options.out / "summary.json", document)
    print(json.dumps(document["modules"], indent=1))
    print(f"killed: {document['share']:.1%}")


if __name__ == "__main__":
    main()
