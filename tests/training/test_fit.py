"""The fit loop: what it leaves, when it stops, and what it does when memory runs out."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from ethomorph.core.errors import InputError, StudyError
from ethomorph.training.fit import fit
from ethomorph.training.history import read_history
from ethomorph.training.settings import FitSettings


def test_room_is_light():
    code = "import sys, ethomorph.training.fit as f, ethomorph.training as t; t.Health; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_run_folder_and_silence(tmp_path, make_net, parts, quick, capfd):
    result = fit(make_net(), *parts(), settings=quick(), folder=tmp_path)
    out, err = capfd.readouterr()
    assert out == "" and "GPU" not in err and "Tip" not in err
    with (tmp_path / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["epoch", "train_loss", "validation_loss", "accuracy", "learning_rate", "seconds"]
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5", "6"]
    assert float(rows[-1]["validation_loss"]) < 0.5 * float(rows[0]["validation_loss"])
    assert result.stop == "epochs" and result.stop_reason == "all 6 epochs were done"
    assert result.steps == 6 * 20 and result.epochs == 6
    assert {"history.csv", "health.json", "evidence.json", "checkpoints"} <= {p.name for p in tmp_path.iterdir()}
    assert not list(tmp_path.rglob(".*"))  # nothing half-written is left


def test_losses_are_means_over_samples(tmp_path, parts, quick, make_net):
    """A smaller last batch weighs less: with a rate of nearly zero, as the loss of all samples at once."""
    net = make_net()
    net.net[3].p = 0.0
    train, validation = parts(n=21)
    expected = [
        torch.nn.functional.cross_entropy(net.net(x), y) for x, y in (next(iter(f(999))) for f in (train, validation))
    ]
    result = fit(net, train, validation, settings=quick(max_epochs=1, learning_rate=1e-12), folder=tmp_path)
    row = read_history(result.history)[0]
    assert row["train_loss"] == pytest.approx(float(expected[0].detach()), rel=1e-5)
    assert row["validation_loss"] == pytest.approx(float(expected[1].detach()), rel=1e-5)


def test_best_weights_come_back(tmp_path, make_net, parts, quick):
    """Training on is made harmful by a rate that rises: the module must end with the best epoch's weights."""
    net = make_net()
    train, validation = parts()
    result = fit(net, train, validation, settings=quick(learning_rate=0.5, schedule="constant"), folder=tmp_path)
    rows = read_history(result.history)
    best = min(rows, key=lambda row: row["validation_loss"])
    x, y = next(iter(validation(60)))
    assert not net.training
    assert result.best_epoch == best["epoch"]
    with torch.no_grad():
        loss = float(torch.nn.functional.cross_entropy(net.net(x), y))
    assert loss == pytest.approx(best["validation_loss"], rel=1e-4)


def test_early_stop_says_why(tmp_path, make_net, parts, quick):
    settings = quick(max_epochs=50, learning_rate=1e-9, patience=3, warm_up=2)
    result = fit(make_net(), *parts(), settings=settings, folder=tmp_path)
    assert result.stop == "early" and result.epochs == 5  # two of warm-up, three of patience
    assert result.stop_reason.startswith("validation loss did not improve by more than 0.001 of itself for 3 epochs")
    again = fit(make_net(), *parts(), settings=settings, folder=tmp_path, resume=True)
    assert (again.stop_reason, again.epochs) == (result.stop_reason, 5)


def test_time_limit(tmp_path, make_net, parts, quick):
    class Slow(type(make_net())):
        def training_step(self, batch, batch_idx):
            time.sleep(0.02)
            return super().training_step(batch, batch_idx)

    settings = quick(max_epochs=1000, max_minutes=1.5 / 60, patience=0)
    torch.manual_seed(0)
    started = time.monotonic()
    result = fit(Slow(), *parts(), settings=settings, folder=tmp_path)
    assert 1.4 < time.monotonic() - started < 5
    assert result.stop == "time" and "minutes were up" in result.stop_reason and result.best_epoch is not None
    # the time used counts after a resume: nothing is left
    more = fit(Slow(), *parts(), settings=settings, folder=tmp_path, resume=True)
    assert more.stop == "time" and more.steps == result.steps
    longer = FitSettings(**vars(settings) | {"max_minutes": 2.5 / 60})
    started = time.monotonic()
    assert fit(Slow(), *parts(), settings=longer, folder=tmp_path, resume=True).steps > result.steps
    assert 0.5 < time.monotonic() - started < 4


@pytest.mark.parametrize("accumulate_from", [8, 12])
def test_out_of_memory_takes_a_smaller_batch_to_the_same_weights(tmp_path, make_net, parts, quick, accumulate_from):
    class Greedy(type(make_net())):
        most = 4

        def training_step(self, batch, batch_idx):
            if len(batch[0]) > self.most:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
            return super().training_step(batch, batch_idx)

    def run(most: int, folder) -> tuple[Greedy, object]:
        torch.manual_seed(0)
        net = Greedy()
        net.most = most
        net.net[3].p = 0.0
        settings = quick(batch_size=accumulate_from, max_epochs=2)
        return net, fit(net, *parts(n=accumulate_from * 5 + accumulate_from // 2), settings=settings, folder=folder)

    whole, _ = run(999, tmp_path / "whole")
    small, result = run(4, tmp_path / "small")
    assert (result.batch_size, result.accumulate) == ((4, 2) if accumulate_from == 8 else (3, 4))
    assert result.steps == 12
    assert any("memory ran out" in note for note in result.notes)
    assert [finding.rule for finding in result.health.findings] == ["memory"]
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(small.state_dict()[name], weight, rtol=1e-4, atol=1e-5)


def test_other_errors_pass(make_net, parts, quick):
    class Broken(type(make_net())):
        def training_step(self, batch, batch_idx):
            raise RuntimeError("size mismatch")

    with pytest.raises(RuntimeError, match="size mismatch"):
        fit(Broken(), *parts(), settings=quick())


def test_out_of_memory_with_one_sample_is_an_error(make_net, parts, quick):
    class Hopeless(type(make_net())):
        def training_step(self, batch, batch_idx):
            raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        fit(Hopeless(), *parts(), settings=quick(batch_size=4))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop_leaves_a_run_to_resume(tmp_path, make_net, parts, quick, number):
    settings = quick(max_epochs=3, schedule="cosine", checkpoint_seconds=None)

    class Asked(type(make_net())):
        def training_step(self, batch, batch_idx):
            if self.current_epoch == 1 and batch_idx == 7 and not (tmp_path / "asked").exists():
                (tmp_path / "asked").touch()
                os.kill(os.getpid(), number)
            return super().training_step(batch, batch_idx)

    torch.manual_seed(0)
    before = signal.getsignal(number)
    stopped = fit(Asked(), *parts(), settings=settings, folder=tmp_path / "run")
    assert signal.getsignal(number) == before
    assert stopped.stop == "interrupt" and stopped.steps == 28 and "resumed" in stopped.stop_reason
    resumed, unbroken = make_net(1), make_net(0)
    result = fit(resumed, *parts(), settings=settings, folder=tmp_path / "run", resume=True)
    straight = fit(unbroken, *parts(), settings=settings, folder=tmp_path / "straight")
    assert result.steps == straight.steps == 60
    assert all(torch.equal(resumed.state_dict()[name], weight) for name, weight in unbroken.state_dict().items())


def test_runs_in_a_thread(make_net, parts, quick):
    """Signals belong to the main thread; elsewhere a fit works without them."""
    done = []
    thread = threading.Thread(target=lambda: done.append(fit(make_net(), *parts(), settings=quick(max_epochs=1))))
    thread.start()
    thread.join()
    assert done[0].stop == "epochs"


def test_max_steps(make_net, parts, quick):
    assert fit(make_net(), *parts(), settings=quick(max_steps=33)).steps == 33


def test_empty_training_part_is_refused(tmp_path, make_net, parts, quick):
    def nothing(batch_size):
        return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(torch.zeros(0, 4)), batch_size)

    with pytest.raises(InputError, match="no training samples"):
        fit(make_net(), nothing, parts()[1], settings=quick(), folder=tmp_path)
    assert '"sick"' in (tmp_path / "health.json").read_text()


def test_resume_refuses_other_settings_and_damage(tmp_path, make_net, parts, quick):
    fit(make_net(), *parts(), settings=quick(max_epochs=1), folder=tmp_path)
    with pytest.raises(StudyError, match="seed = 0, not 5"):
        fit(make_net(), *parts(), settings=quick(max_epochs=2, seed=5), folder=tmp_path, resume=True)
    with pytest.raises(StudyError, match=r"last\.ckpt"):
        fit(make_net(width=5), *parts(), settings=quick(max_epochs=2), folder=tmp_path, resume=True)
    (tmp_path / "checkpoints" / "last.ckpt").write_bytes(b"PK\x03\x04 not a checkpoint")
    with pytest.raises(StudyError, match="not a readable checkpoint"):
        fit(make_net(), *parts(), settings=quick(max_epochs=2), folder=tmp_path, resume=True)


def test_checkpoints_load_without_unpickling(tmp_path, make_net, parts, quick):
    fit(make_net(), *parts(), settings=quick(max_epochs=1), folder=tmp_path)
    for name in ("last", "best"):
        assert torch.load(tmp_path / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def test_mixed_precision_is_for_cuda(make_net, parts, quick):
    result = fit(make_net(), *parts(), settings=quick(max_epochs=1, precision="bf16"))
    assert result.precision == "32-true" and "CUDA only" in result.notes[0]


def test_tensorboard_logs(tmp_path, make_net, parts, quick):
    pytest.importorskip("tensorboard")
    fit(make_net(), *parts(), settings=quick(max_epochs=1, tensorboard=True), folder=tmp_path)
    assert list((tmp_path / "tensorboard").glob("events.out.*"))


def test_lines_off_terminal_go_to_standard_error(make_net, parts, quick, capfd, monkeypatch):
    monkeypatch.setattr("ethomorph.training.progress.LINE_SECONDS", 0.0)
    fit(make_net(), *parts(), settings=quick(max_epochs=2), label="wings")
    out, err = capfd.readouterr()
    assert out == "" and "wings: epoch 2 of 2" in err and "left" in err
    fit(make_net(), *parts(), settings=quick(max_epochs=1), progress=False)
    assert capfd.readouterr() == ("", "")
