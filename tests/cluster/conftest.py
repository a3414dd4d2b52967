"""A small trained run of regression trees, and a Slurm of one node where one can be started."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ethomorph.cli.app import execute
from ethomorph.phantoms.radiograph import simulate_radiographs

STUDY = """\
[study]
name = "many"
[split]
test = 0.3
validation = 0.2
[task.t]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
method = "ert"
[task.t.settings]
cascade_depth = 3
num_trees_per_cascade_level = 20
oversampling_amount = 4
[slurm]
cpus = 1
memory_gb = 2
minutes = 20
tasks = 2
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with one trained run, ``runs/t/a``, and sixteen new pictures in ``new/images``."""
    study = tmp_path_factory.mktemp("many")
    simulate_radiographs(12, size=(160, 210), seed=0).write(study)
    simulate_radiographs(16, size=(160, 210), seed=1).write(study / "new")
    (study / "study.toml").write_text(STUDY)
    assert execute(["train", str(study), "--run", "a", "--quiet"]) == 0
    return study


@pytest.fixture
def pictures(trained: Path, tmp_path: Path) -> Path:
    """The new pictures with three damaged ones among them."""
    folder = tmp_path / "pictures"
    shutil.copytree(trained / "new" / "images", folder)
    for i, content in enumerate((b"", b"no picture", b"\x89PNG\r\n\x1a\n")):
        (folder / f"damaged{i}.png").write_bytes(content)
    return folder


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmNode]:
    """Slurm on this machine alone, with a folder and ports of its own."""
    if os.environ.get("ETHOMORPH_TEST_SLURM") != "1":
        pytest.skip("tests on a real Slurm are run by `make test-slurm`")
    missing = [name for name in ("slurmctld", "slurmd", "munged", "sbatch") if _find(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no Slurm can be started here: {', '.join(missing) or 'root is needed'}")
    node = SlurmNode(tmp_path_factory.mktemp("slurm"))
    try:
        node.start()
        yield node
    finally:
        node.stop()


class SlurmNode:
    """slurmctld and slurmd for one node."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, socket.gethostname().partition(".")[0]
        for part in ("state", "spool", "log"):
            (folder / part).mkdir()
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10
        self.config = folder / "slurm.conf"
        self.config.write_text(
            f"ClusterName=local\nSlurmctldHost={self.name}(127.0.0.1)\nSlurmUser=root\nSlurmdUser=root\n"
            "AuthType=auth/munge\nSlurmctldPort=26817\nSlurmdPort=26818\n"
            f"StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool\n"
            f"SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/slurmd.pid\n"
            f"SlurmctldLogFile={folder}/log/slurmctld.log\nSlurmdLogFile={folder}/log/slurmd.log\n"
            "ProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\nSelectType=select/cons_tres\n"
            "SelectTypeParameters=CR_Core_Memory\nDefMemPerCPU=1000\nJobAcctGatherType=jobacct_gather/none\n"
            "AccountingStorageType=accounting_storage/none\nMpiDefault=none\nReturnToService=2\nKillWait=5\n"
            f"NodeName={self.name} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} RealMemory={memory} State=UNKNOWN\n"
            f"PartitionName=main Nodes={self.name} Default=YES MaxTime=INFINITE State=UP\n"
        )

    def start(self) -> None:
        os.environ["SLURM_CONF"] = str(self.config)
        if subprocess.run("munge -n | unmunge", shell=True, capture_output=True, check=False).returncode:
            subprocess.run(["install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge"], check=True)
            subprocess.run(["runuser", "-u", "munge", "--", _find("munged") or "munged"], check=True)
        subprocess.run([_find("slurmctld") or "slurmctld"], check=True)
        self.start_slurmd()
        deadline = time.monotonic() + 30
        while (
            "idle"
            not in subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False).stdout
        ):
            if time.monotonic() > deadline:
                pytest.skip("Slurm does not come up here")
            time.sleep(0.5)

    def start_slurmd(self) -> None:
        subprocess.run([_find("slurmd") or "slurmd"], check=True)

    def kill_slurmd(self) -> None:
        os.kill(int((self.folder / "slurmd.pid").read_text()), signal.SIGKILL)

    def stop(self) -> None:
        for name in ("slurmctld", "slurmd"):
            file = self.folder / f"{name}.pid"
            if file.exists():
                os.kill(int(file.read_text()), signal.SIGTERM)
        os.environ.pop("SLURM_CONF", None)


def _find(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
