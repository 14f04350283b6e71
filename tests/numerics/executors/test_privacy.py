"""Other users of the machine reach neither the cluster, nor the jobs' files, nor the processes."""

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from numerics.executors.dask_cluster import DaskCluster
from numerics.executors.slurm_jobs import SlurmJobs
from theory.errors import InputError


def test_a_local_cluster_speaks_only_with_holders_of_its_key():
    with DaskCluster(1) as engine:
        assert engine.client is not None
        address = engine.client.scheduler_info()["address"]
        assert address.startswith("tls://127.0.0.1:")
        assert engine.executor().submit(abs, -1).result(timeout=60) == 1
        stranger = DaskCluster(1, address.replace("tls://", "tcp://"))
        with pytest.raises(InputError, match="no Dask scheduler answers at tcp://"):
            stranger.__enter__()


def test_only_the_user_reads_the_folder_of_jobs(tmp_path):
    for folder in (tmp_path / "new", tmp_path / "old"):
        if folder.name == "old":
            folder.mkdir(mode=0o777)
        with SlurmJobs(folder, cluster="local") as engine, engine.executor():
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def _open_to_others(group: int) -> list[str]:
    """Addresses other than the loopback's at which the processes of a group listen."""
    sockets = {}
    for table, loopback in (("tcp", "0100007F"), ("tcp6", "0" * 24 + "01000000")):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and not words[1].startswith(loopback):
                sockets[f"socket:[{words[9]}]"] = words[1]
    found = []
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        # Processes and files may end while they are looked at.
        with suppress(OSError):
            if os.getpgid(int(link.parts[2])) == group:
                found += [sockets[name] for name in [os.readlink(link)] if name in sockets]
    return found


TRAIN = (
    "train --layers 1 --d-model 16 --d-ff 32 --heads 2 --pairs 300 --vocabulary 200 --tokens 256 "
    "--steps 100000 --processes 2"
)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_processes_of_a_training_do_not_listen_beyond_the_loopback(tmp_path):
    command = [sys.executable, "-m", "tfixup", *TRAIN.split(), "--out", str(tmp_path / "run")]
    run = subprocess.Popen(command, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "run" / "log.parquet").exists() and time.monotonic() < deadline:
            assert _open_to_others(run.pid) == []
            assert run.poll() is None
            time.sleep(0.1)
    finally:
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()


def test_a_socket_open_to_others_is_found():
    with socket.socket() as listening:
        listening.bind(("0.0.0.0", 0))
        listening.listen()
        port = f":{listening.getsockname()[1]:04X}"
        assert [found for found in _open_to_others(os.getpgid(0)) if found.endswith(port)]
