"""A run killed with SIGKILL again and again ends with the same bits as one that was left alone."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = '''
import os, random, signal, sys, time
from pathlib import Path
import numpy as np, torch
torch.set_num_threads(1)
import lightning.pytorch as pl
from torch.utils.data import DataLoader, Dataset
from ethomorph.training.fit import fit, FitSettings
from ethomorph.training.history import read_history
import ethomorph.training.loop  # loaded before the children are forked

root = Path(sys.argv[1])

class Noisy(Dataset):
    """Every library's random numbers change every sample."""
    def __len__(self):
        return 50
    def __getitem__(self, i):
        truth = np.random.default_rng(i).normal(size=6).astype(np.float32)
        noise = 0.1 * (np.random.normal() + random.gauss(0, 1) + float(torch.randn(())))
        return torch.from_numpy(truth) + noise, torch.tensor([truth[:3].sum()])

class Net(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.BatchNorm1d(8), torch.nn.ReLU(),
                                       torch.nn.Dropout(0.2), torch.nn.Linear(8, 1))
        self.average = torch.nn.Linear(6, 8).requires_grad_(False)
        self.register_buffer("epochs", torch.zeros(()))
    def on_train_batch_end(self, outputs, batch, i):
        if batch is not None:  # the way to the place where the run was broken off
            self.average.weight.lerp_(self.net[0].weight, 0.1)
    def on_train_epoch_end(self):
        self.epochs += 1
    def training_step(self, batch, i):
        time.sleep(0.004)
        return torch.nn.functional.mse_loss(self.net(batch[0]), batch[1])
    validation_step = training_step
    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), weight_decay=0.01)

def child(run, name, workers):
    pid = os.fork()
    if pid:
        return pid
    settings = FitSettings(max_epochs=5, learning_rate=0.01, batch_size=4, workers=workers, seed=4, device="cpu",
                           min_delta=0.9, plateau_patience=0, rate_warm_up=9, checkpoint_seconds=0.1)
    loader = lambda shuffle: lambda n: DataLoader(Noisy(), n, shuffle=shuffle, num_workers=workers)
    torch.manual_seed(3)
    net = Net()
    fit(net, loader(True), loader(False), settings=settings, folder=run / name, resume=True, progress=False)
    torch.save(net.state_dict(), run / f"{name}.pt")
    os._exit(0)

def compare(run):
    load = lambda *path: [torch.load(run.joinpath(*p), weights_only=True) for p in path]
    a, b = load(["left.pt"], ["killed.pt"])
    assert all(torch.equal(a[k], b[k]) for k in a), {k: float((a[k] - b[k]).abs().max()) for k in a}
    for which in ("last", "best"):
        a, b = load(*[[name, "checkpoints", f"{which}.ckpt"] for name in ("left", "killed")])
        assert all(torch.equal(a["state_dict"][k], b["state_dict"][k]) for k in a["state_dict"]), which
        if which == "last":
            for k, state in a["optimizers"][0]["state"].items():
                assert all(torch.equal(v, b["optimizers"][0]["state"][k][n]) for n, v in state.items()), k
    rows = [read_history(run / name / "history.csv") for name in ("left", "killed")]
    for row in [*rows[0], *rows[1]]:
        del row["seconds"]
    assert rows[0] == rows[1], rows
    assert len(rows[0]) == 5 and rows[0][-1]["learning_rate"] < 0.01

for workers in (0, 1):
    run = root / str(workers)
    os.waitpid(child(run, "left", workers), 0)
    pauses, kills = random.Random(1), 0
    while not (run / "killed.pt").exists():
        last = run / "killed" / "checkpoints" / "last.ckpt"
        before = last.stat().st_mtime_ns if last.exists() else 0
        pid = child(run, "killed", workers)
        while kills < 4 and (not last.exists() or last.stat().st_mtime_ns == before):
            time.sleep(0.001)
        if kills < 4:
            time.sleep(pauses.uniform(0, 0.3))
            os.kill(pid, signal.SIGKILL)
            kills += 1
        status = os.waitpid(pid, 0)[1]
        assert status in (0, signal.SIGKILL), status
    compare(run)
    print("same after", kills, "kills")
'''


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks children to kill")
def test_killed_runs_come_out_the_same(tmp_path):
    """Without and with a process that loads data."""
    script = tmp_path / "killed.py"
    script.write_text(SCRIPT)
    done = subprocess.run([sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines() == ["same after 4 kills"] * 2
