"""What a job does when its time is up, without a Slurm: the notice is sent by the test."""

import os
import signal
import subprocess
import sys
import time

from ethomorph.cluster import slurm
from ethomorph.cluster.command import Command, notices, resumed
from ethomorph.cluster.job import Job, jobs_of
from ethomorph.cluster.status import overall, task_states
from ethomorph.study.config import SlurmSection


def test_a_command_leaves_its_exit_code_and_its_last_words(tmp_path):
    job = Job.new(tmp_path / "jobs", "train", arguments=["train", str(tmp_path / "nothing")]).write()
    assert Command(job.folder)() == 2
    assert job.results()[0]["state"] == "failed" and "study.toml" in job.results()[0]["said"]


def test_a_notice_ends_the_work_and_is_remembered():
    with notices() as told:
        try:
            os.kill(os.getpid(), signal.SIGUSR2)
            time.sleep(5)
            raise AssertionError("the notice was not heard")
        except KeyboardInterrupt:
            pass
    assert told == ["SIGUSR2"]


def test_a_training_told_that_its_time_is_up_writes_a_checkpoint_and_queues_again(tmp_path):
    """In a process of its own, since handlers and Lightning belong to the main thread there."""
    script = """
import os, signal, sys, threading, time
from pathlib import Path
from ethomorph.cluster import command, slurm
from ethomorph.cluster.job import Job
from ethomorph.phantoms.radiograph import simulate_radiographs
folder = Path(sys.argv[1])
simulate_radiographs(6, size=(120, 160), seed=0).write(folder)
(folder / "study.toml").write_text('''[study]
name = "s"
[split]
test = 0.3
validation = 0.0
[task.t]
kind = "landmarks"
labels = "landmarks.tps"
images = "images"
settings = { steps = 4000, coarse = { filters = 4, long_side_px = 64 }, refine = { filters = 4 }, pictures = 2 }
''')
asked = []
slurm.requeue = lambda: asked.append(1)
run = folder / "runs" / "t" / "a"
job = Job.new(folder / "jobs", "train", arguments=["train", str(folder), "--run", "a", "--quiet"], run=run).write()
def tell():
    while not (run / "history.csv").exists() and not (run / "evidence.json").exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGUSR2)
threading.Thread(target=tell, daemon=True).start()
first = command.Command(job.folder)()
state = job.results()[0]["state"]
print(first, state, len(asked), (run / "scores.json").exists(), command.resumed(job)[-1])
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=240)
    words = done.stdout.split()
    assert words[-6:] == ["130", "queued", "again", "1", "False", "--resume"], done.stdout + done.stderr[-2000:]


def test_states_come_from_our_own_files_first(tmp_path):
    job = Job.new(tmp_path / "jobs", "predict", chunks=[[0], [1], [2], [3]], slurm_id="7").write()
    job.write_result(0, state="done")
    job.write_result(1, state="running")
    job.write_result(2, state="running")
    states = task_states(job, {"7": {1: "RUNNING", 2: "FAILED", 3: "PENDING"}})
    assert states == ["done", "running", "lost", "pending"]
    from collections import Counter

    assert overall(job, Counter(states)) == "running"
    assert [one.name for one in jobs_of(tmp_path)] == [job.name]


def test_the_script_asks_for_what_the_study_says(tmp_path):
    job = Job(tmp_path, "train")
    asked = {"partition": "gpu", "gpus": 1, "memory_gb": 64, "minutes": 90, "account": "lab"}
    wanted = SlurmSection(**asked, setup=["module load cuda"], extra={"nice": "5"})
    text = slurm.script(job, wanted)
    for line in ("--partition=gpu", "--gpus-per-node=1", "--mem=65536M", "--time=90", "--account=lab", "--nice=5"):
        assert f"#SBATCH {line}" in text
    assert "module load cuda" in text and "#SBATCH --signal=USR2@120" in text and "#SBATCH --requeue" in text


def test_only_an_unfinished_training_is_resumed(tmp_path):
    job = Job(tmp_path, "train", arguments=["train", "s"], run=tmp_path / "runs" / "t" / "a")
    assert resumed(job) == ["train", "s"]
    job.run.mkdir(parents=True)
    (job.run / "config.toml").write_text("")
    assert resumed(job) == ["train", "s", "--resume"]
    (job.run / "scores.json").write_text("{}")
    assert resumed(job) == ["train", "s"]
