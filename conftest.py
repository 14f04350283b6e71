"""One thread per process while testing.

Small matrix products on threads that share busy cores wait for one another far longer than they
compute. Notebook kernels and subprocesses inherit the setting.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
