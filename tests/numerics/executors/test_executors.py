import os

import pytest

from numerics.executors import Local, outcomes
from theory.errors import InputError


def _die_on_three(number: int) -> int:
    if number == 3:
        os._exit(1)
    return number * number


def test_a_lost_workers_tasks_run_again():
    found = dict(outcomes(_die_on_three, range(6), Local(2)))
    assert {k: v for k, v in found.items() if k != 3} == {0: 0, 1: 1, 2: 4, 4: 16, 5: 25}
    assert isinstance(found[3], Exception)


def _reciprocal(number: int) -> float:
    return 1 / number


def test_an_item_fails_after_two_attempts_in_this_process():
    attempts = []

    def shy(number: int) -> int:
        attempts.append(number)
        if attempts.count(number) == 1 and number == 2:
            raise OSError("not yet")
        return number

    assert dict(outcomes(shy, [1, 2, 3], Local(1))) == {1: 1, 2: 2, 3: 3}
    assert attempts == [1, 2, 3, 2]
    found = dict(outcomes(_reciprocal, [0, 2], Local(1)))
    assert found[2] == 0.5
    assert isinstance(found[0], ZeroDivisionError)


def _threads() -> str:
    return os.environ["OMP_NUM_THREADS"]


def test_workers_share_the_cores():
    with Local(2).executor() as executor:
        assert int(executor.submit(_threads).result()) == max(1, (os.cpu_count() or 1) // 2)


def test_bad_number_of_workers():
    with pytest.raises(InputError, match="workers must be an integer of at least 1, got 0"):
        Local(0)
