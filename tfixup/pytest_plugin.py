"""The pytest plugin: the assertions as fixtures, loaded by pytest through its entry point.

A test asks for a fixture by its name and needs no import:

    def test_my_decoder_is_bounded_in_depth(assert_depth_bounded):
        assert_depth_bounded(make_decoder, depths=(2, 4, 8, 16), optimizer="adamw")

Nothing is imported before a test asks, so that the plugin costs other tests nothing. It stands
outside ``numerics`` because pytest loads it before jaxtyping's own plugin, which refuses to watch
packages that are already imported.
"""

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def assert_depth_bounded() -> Callable[..., object]:
    """`numerics.own_model.workflow.assertions.assert_depth_bounded`."""
    from numerics.own_model.workflow.assertions import assert_depth_bounded as found

    return found


@pytest.fixture(scope="session")
def assert_initialized() -> Callable[..., object]:
    """`numerics.own_model.workflow.assertions.assert_initialized`."""
    from numerics.own_model.workflow.assertions import assert_initialized as found

    return found


@pytest.fixture(scope="session")
def assert_constant() -> Callable[..., object]:
    """`numerics.own_model.workflow.assertions.assert_constant`."""
    from numerics.own_model.workflow.assertions import assert_constant as found

    return found
