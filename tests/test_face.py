"""The names that users import: complete, lazy and documented."""

import subprocess
import sys

import pytest

import tfixup


def test_every_public_name_is_listed_and_can_be_loaded():
    assert dir(tfixup) == sorted(tfixup.__all__)
    assert all(getattr(tfixup, name) is not None for name in tfixup.__all__)


def test_every_public_name_stands_in_the_examples():
    examples = tfixup.__doc__ or ""
    assert [name for name in tfixup.__all__ if name not in examples] == []


def test_importing_the_face_loads_neither_torch_nor_sympy():
    code = "import sys, tfixup; dir(tfixup); print({'torch', 'sympy'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'measure'"):
        tfixup.measure  # noqa: B018
