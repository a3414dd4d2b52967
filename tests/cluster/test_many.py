"""Many inputs: cut short and called again, one bad file alone, the same result as in one go."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ethomorph.cli.app import execute
from ethomorph.cluster.command import Finish, Share
from ethomorph.cluster.job import Job
from ethomorph.cluster.manifest import Manifest
from ethomorph.cluster.many import begin, finish, predict_many, work, work_folder
from ethomorph.cluster.work import Work
from ethomorph.core.errors import InputError
from ethomorph.core.landmarks import Specimen
from ethomorph.formats.registry import read_landmarks
from ethomorph.keypoints.predictor import specimen_from_plain, specimen_to_plain
from ethomorph.study.run import Run


def test_gives_what_a_plain_prediction_gives_and_lists_the_damaged(trained, pictures, tmp_path):
    out = tmp_path / "many.tps"
    done = predict_many(Run(trained / "runs/t/a"), [str(pictures)], out=out, progress=False)
    assert (done["done"], done["failed"], done["pending"]) == (16, 3, 0)
    assert all(f"damaged{i}.png" in " ".join(done["failures"]) for i in range(3))
    plain = tmp_path / "plain.tps"
    run, images = str(trained / "runs/t/a"), str(trained / "new/images")
    assert execute(["predict", run, images, "--out", str(plain), "--quiet"]) == 0
    ours, theirs = (read_landmarks(p, images=pictures, gaps="missing") for p in (out, plain))
    np.testing.assert_array_equal(ours.array(), theirs.array())
    with (tmp_path / "many.tps.inputs.csv").open(newline="") as stream:
        states = [row["state"] for row in csv.DictReader(stream)]
    assert states.count("done") == 16 and states.count("failed") == 3


def test_a_second_call_does_only_what_is_missing(trained, pictures, tmp_path):
    run, out = Run(trained / "runs/t/a"), tmp_path / "o.tps"
    manifest = begin(Work.predict(run), [str(pictures)], out)
    work(manifest.folder, manifest.pending()[:9], "first")
    assert finish(manifest.folder)["pending"] == 10 and not out.exists()
    before = {part: part.stat().st_mtime_ns for part in manifest.parts_done()}
    predict_many(run, [str(pictures)], out=out, progress=False)
    assert out.exists()
    assert all(part.stat().st_mtime_ns == time_ns for part, time_ns in before.items())
    parts = {part: part.stat().st_mtime_ns for part in manifest.parts_done()}
    predict_many(run, [str(pictures)], out=out, progress=False)
    assert all(part.stat().st_mtime_ns == time_ns for part, time_ns in parts.items())


def test_killed_in_the_middle_nothing_is_lost_and_nothing_done_twice(trained, pictures, tmp_path):
    out = tmp_path / "k.tps"
    command = [sys.executable, "-m", "ethomorph", "predict", str(trained / "runs/t/a"), str(pictures)]
    command += ["--out", str(out), "--tasks", "1", "--quiet"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    logs = work_folder(out) / "logs"
    deadline = time.monotonic() + 60
    while not (logs.exists() and any(f.stat().st_size > 10 for f in logs.iterdir())):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {part: part.stat().st_mtime_ns for part in Manifest(work_folder(out)).parts_done()}
    assert subprocess.run(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode == 0
    assert all(part.stat().st_mtime_ns == time_ns for part, time_ns in done.items())
    assert len({s.image for s in read_landmarks(out, images=pictures, gaps="missing")}) == 16


def test_processes_share_the_work(trained, pictures, tmp_path):
    out = tmp_path / "p.tps"
    done = predict_many(Run(trained / "runs/t/a"), [str(pictures)], out=out, tasks=2, progress=False)
    assert (done["done"], done["failed"]) == (16, 3)
    assert len(list((work_folder(out) / "logs").glob("local-*.jsonl"))) == 2


def test_nothing_to_predict_is_refused(trained, tmp_path):
    with pytest.raises(InputError):
        predict_many(Run(trained / "runs/t/a"), [str(tmp_path / "none")], out=tmp_path / "o.tps", progress=False)


def test_a_specimen_survives_its_part():
    one = Specimen(
        np.array([[1.5, 2], [np.nan, np.nan]]), id="a", image="a.png", image_path=Path("/x/a.png"), image_size=(4, 5),
        scale=0.5, box=(0.0, 1.0, 2.0, 3.0), confidence=np.array([0.5, 0]), spread=np.array([1.0, np.nan]),
        curves=[np.zeros((2, 2))], attributes={"status": "found"},
    )  # fmt: skip
    back = specimen_from_plain(specimen_to_plain(one))
    for name, value in vars(one).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(back, name), value)
        elif name != "curves":
            assert getattr(back, name) == value
    np.testing.assert_array_equal(back.curves[0], one.curves[0])


def test_the_last_task_of_an_array_merges(trained, pictures, tmp_path):
    """Each task is called here as Slurm would; the job behind them finds nothing left to do."""
    run, out = Run(trained / "runs/t/a"), tmp_path / "o.tps"
    manifest = begin(Work.predict(run), [str(pictures)], out)
    pending = manifest.pending()
    job = Job.new(tmp_path / "jobs", "predict", manifest=manifest.folder, chunks=[pending[:9], pending[9:]]).write()
    Share(job.folder, 0)()
    assert not out.exists() and not manifest.is_merged
    Share(job.folder, 1)()
    assert manifest.is_merged
    assert len({one.image for one in read_landmarks(out, images=pictures, gaps="missing")}) == manifest.counts().done
    assert Finish(job.folder)() == {"merged": True}
    out.unlink()
    assert Finish(job.folder)()["failed"] == 3 and out.exists()
