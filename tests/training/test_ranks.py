"""Two processes on this machine's CPU train one network: the weights, stops and files of one process."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from ethomorph.core.errors import InputError
from ethomorph.training.ranks import Ranks, Share, agreed, gathered, ranks, refuse_uneven

SCRIPT = """
import json, sys
from pathlib import Path
import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset
from ethomorph.core.errors import InputError
from ethomorph.training.fit import FitSettings, fit
from ethomorph.training.ranks import decided, join, leave, ranks

class Line(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
    def training_step(self, batch, index):
        return torch.nn.functional.mse_loss(self.layer(batch[0]), batch[1])
    validation_step = training_step
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

mine, out = join(), Path(sys.argv[1])
torch.manual_seed(0)
x = torch.randn(44, 3)
data = TensorDataset(x, x @ torch.tensor([[1.0], [2.0], [3.0]]))
module = Line()
seen = []
def loader(shuffle):
    return lambda size: DataLoader(data, batch_size=size, shuffle=shuffle, drop_last=shuffle,
                                   collate_fn=lambda rows: [torch.stack(c) for c in zip(*rows)])
minutes = 100.0 if mine.first else float(sys.argv[3])
settings = FitSettings(max_epochs=int(sys.argv[2]), batch_size=8, learning_rate=0.05, patience=0, device="cpu",
                       schedule="constant", max_minutes=minutes)
result = fit(module, loader(True), loader(False), settings=settings, folder=out / str(mine.rank), progress=False)
try:
    decided(lambda: (_ for _ in ()).throw(InputError("no such run")))
except InputError as error:
    said = str(error)
weights = module.layer.weight.detach().flatten().tolist()
(out / f"{mine.world}-{mine.rank}.json").write_text(json.dumps(
    {"weights": weights, "stop": result.stop, "steps": result.steps, "said": said}))
leave()
"""


def together(number: int, command: list[str], folder: Path) -> list[subprocess.Popen]:
    """So many processes that know of each other as torchrun would tell them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = os.environ | {"OMP_NUM_THREADS": "1"}
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(number)} if number > 1 else {}
    return [
        subprocess.Popen(
            [sys.executable, *command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=common | told | ({"RANK": str(rank), "LOCAL_RANK": str(rank)} if told else {}),
        )
        for rank in range(number)
    ]  # fmt: skip


def ended(processes: list[subprocess.Popen], code: int = 0) -> list[str]:
    """What each said on standard error, once all have ended with `code`."""
    said = [process.communicate(timeout=240)[1] for process in processes]
    assert [process.returncode for process in processes] == [code] * len(processes), "\n".join(said)[-3000:]
    return said


def trained_line(folder: Path, number: int, epochs: int, minutes_of_second: float = 100.0) -> list[dict]:
    import json

    (folder / "line.py").write_text(SCRIPT)
    ended(together(number, ["line.py", str(folder), str(epochs), str(minutes_of_second)], folder))
    return [json.loads((folder / f"{number}-{rank}.json").read_text()) for rank in range(number)]


def test_two_processes_find_the_weights_of_one(tmp_path):
    [alone], pair = trained_line(tmp_path, 1, 4), trained_line(tmp_path, 2, 4)
    assert pair[0]["weights"] == pair[1]["weights"]
    assert pair[0]["weights"] == pytest.approx(alone["weights"], abs=1e-6)
    assert [one["steps"] for one in pair] == [alone["steps"]] * 2
    assert [one["said"] for one in pair] == ["no such run"] * 2


def test_both_stop_where_one_has_to(tmp_path):
    pair = trained_line(tmp_path, 2, 100_000, 0.03)
    assert [one["stop"] for one in pair] == ["time", "time"]
    assert pair[0]["steps"] == pair[1]["steps"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    from ethomorph.phantoms.radiograph import simulate_radiographs

    folder = tmp_path_factory.mktemp("together")
    simulate_radiographs(8, size=(120, 160), seed=0).write(folder)
    (folder / "study.toml").write_text("""[study]
name = "s"
[split]
test = 0.3
validation = 0.2
[task.t]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
settings = { steps = 400, coarse = { filters = 4, long_side_px = 64 }, refine = { filters = 4 }, pictures = 2 }
""")
    return folder


def test_a_study_trained_by_two_is_written_by_one_and_resumes(study):
    """Told to stop in the middle, both write a checkpoint; resumed, they finish; one run folder is all there is."""
    command = ["-m", "ethomorph", "train", str(study), "--run", "pair", "--quiet", "--set", "settings.steps=40"]
    processes = together(2, command, study)
    run = study / "runs" / "t" / "pair"
    deadline = time.monotonic() + 300
    while not (run / "history.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    stopped = [process.wait(timeout=300) for process in processes]
    assert stopped in ([130, 130], [0, 0]), "one of them went on without the other"
    if stopped == [130, 130]:
        assert not (run / "scores.json").exists()
        ended(together(2, [*command, "--resume"], study))
    assert (run / "scores.json").exists() and (run / "report.html").exists()
    assert [path.name for path in (study / "runs" / "t").iterdir()] == ["pair"]


def test_a_batch_is_shared_without_rest():
    batches = [[0, 1, 2, 3], [4, 5, 6, 7], [8]]
    shares = [list(Share(batches, Ranks(rank, 2))) for rank in (0, 1)]
    assert shares == [[[0, 2], [4, 6], [8]], [[1, 3], [5, 7], [8]]]


def test_a_process_alone_agrees_with_itself(monkeypatch):
    assert not ranks().several and agreed(3) == 3 and gathered("a") == ["a"]
    for name, value in {"RANK": "1", "WORLD_SIZE": "3", "MASTER_ADDR": "here", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert ranks() == Ranks(1, 3, 0)
    with pytest.raises(InputError, match="multiple of 3"):
        refuse_uneven(8)
    assert torch.distributed.is_initialized() is False
