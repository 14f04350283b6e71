"""pytest in another project finds the plugin by its entry point, as a user's pytest does."""

import subprocess
import sys

TESTS = """
def test_flat(assert_constant):
    assert_constant({2: 1.0, 4: 1.001, 8: 0.999, 16: 1.0})

def test_growing(assert_constant):
    assert_constant({2: 2.0, 4: 4.0, 8: 8.0, 16: 16.0})
"""


def pytest_in(folder, *options):
    (folder / "test_theirs.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_fixtures_are_there_without_an_import(tmp_path):
    ran = pytest_in(tmp_path)
    assert "1 failed, 1 passed" in ran.stdout
    assert "not constant in depth: N^+1.00" in ran.stdout


def test_without_the_plugin_there_are_no_fixtures(tmp_path):
    ran = pytest_in(tmp_path, "-p", "no:tfixup")
    assert "fixture 'assert_constant' not found" in ran.stdout


def test_loading_the_plugin_imports_no_package_of_ours():
    """jaxtyping stops pytest if a package it shall watch is there before it."""
    check = "import sys, tfixup.pytest_plugin; sys.exit('numerics' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
