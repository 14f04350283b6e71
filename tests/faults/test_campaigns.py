"""Each campaign runs at a small size, finds nothing, and finds its own control."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("campaign", "options"),
    [
        ("kills", ["--commands", "sweep", "check", "--kills", "6", "--alone", "1"]),
        ("flips", ["--flips", "4"]),
        ("full_disk", ["--commands", "train", "sweep"]),
        ("fuzz", ["--seeds", "5", "--lines", "60", "--skip-alone"]),
    ],
)
def test_a_small_campaign(tmp_path, campaign, options):
    out = tmp_path / "found.json"
    command = [sys.executable, "-m", f"benchmarks.faults.{campaign}", *options, "--out", str(out)]
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "command" in json.loads(out.read_text())["provenance"]
