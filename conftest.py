"""What holds for every test: one thread per process, and calls watched by their annotations.

Small matrix products on threads that share busy cores wait for one another far longer than they
compute. Notebook kernels and subprocesses inherit the setting.
"""

import os

from tests import watched_calls

os.environ.setdefault("OMP_NUM_THREADS", "1")
watched_calls.install()
