"""Rows do not depend on how many threads the process has: each measurement has one."""

import pytest
import torch

from numerics.sweeps.grid import SweepSettings, SweepTask
from numerics.sweeps.task import measure_task, one_thread


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_measurement_has_one_thread_and_gives_the_rest_back():
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with pytest.raises(KeyError), one_thread():
        raise KeyError
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("scheme", "optimizer"), [("dlcl-pre", "sgd"), ("tfixup", "muon")])
@pytest.mark.usefixtures("two_threads")
def test_rows_are_the_same_bits_on_one_thread_and_two(scheme, optimizer):
    task = SweepTask(SweepSettings(), scheme, optimizer, 2, 0)
    two = measure_task(task)
    torch.set_num_threads(1)
    assert two.drop("seconds").equals(measure_task(task).drop("seconds"))
