"""Four points on a real mouse in an open field: our best settings within an hour of one core, and beside sleap-nn.

``python -m benchmarks.pose_openfield --work DIR [--part best|peer|write]``. The 80 frames are of one video, so they are
split by 20 stretches of it: 16 frames are tested, once, at the end. The peer part needs sleap-nn in an environment of
its own: ``PEER_PYTHON`` is the command that runs a script there, see `benchmarks.peers.sleap_nn`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.keypoints.pose.estimator import PoseEstimator
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).parents[2] / "shared" / "data" / "pose-openfield"
SEED = 0
STUDY = """\
[study]
name = "openfield"
[split]
by = "block"
test = 0.2
validation = 0.1
seed = {seed}
[task.mouse]
kind = "pose"
labels = "{labels}"
method = "top_down"
[task.mouse.settings.model]
backbone = "efficientnet-lite0"
filters = 32
[task.mouse.settings.heads]
centroid_scale = 0.25
[task.mouse.settings.augmentation]
rotation_min_deg = -90
rotation_max_deg = 90
scale_min = 0.85
scale_max = 1.15
[task.mouse.settings.optimization]
epochs = {epochs}
steps_an_epoch = 50
"""
TRAIN = (
    "import json, resource, sys; from pathlib import Path; from ethomorph.workflow.train import train; "
    "from ethomorph.study.run import Run; import ethomorph.cli.app; "
    "resume = Path(sys.argv[1], 'runs', 'mouse', 'best', 'config.toml').is_file(); "
    "train(sys.argv[1], run='best', resume=resume, max_minutes=float(sys.argv[2]), progress=False); "
    "used = resource.getrusage(resource.RUSAGE_SELF); "
    "print(json.dumps({'cpu_minutes': (used.ru_utime + used.ru_stime) / 60, 'memory_mb': used.ru_maxrss / 1024}))"
)


def best(work: Path, epochs: int, minutes: float) -> dict[str, Any]:
    """Train for so many minutes at most by the study's verb and score the test part; a run that was stopped goes on."""
    study = work / "openfield"
    if not (study / "study.toml").is_file():
        study.mkdir(parents=True)
        text = STUDY.format(seed=SEED, labels=DATA / "config.yaml", epochs=epochs)
        (study / "study.toml").write_text(text, encoding="utf-8")
    spent = work / "spent.json"
    run = study / "runs" / "mouse" / "best"
    if not (run / "scores.json").is_file():
        before = json.loads(spent.read_text()) if spent.is_file() else {"cpu_minutes": 0.0}
        command = [sys.executable, "-c", TRAIN, str(study), str(minutes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        now = json.loads(done.stdout.splitlines()[-1])
        spent.write_text(json.dumps(now | {"cpu_minutes": before["cpu_minutes"] + now["cpu_minutes"]}))
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    evidence = json.loads((run / "evidence.json").read_text(encoding="utf-8"))
    told = {"scores": scores, "errors_px": node_errors(run), "stop": evidence["stop_reason"]}
    return told | {"epochs": len(evidence["epochs"])} | json.loads(spent.read_text())


def node_errors(run: Path) -> list[list[float | None]]:
    """Error in px of each node of each test frame of a run; None where it was not found."""
    from ethomorph.formats.poses import read_poses
    from ethomorph.keypoints.pose.data import labelled_frames

    truth, _ = labelled_frames(read_poses(DATA)[0])
    found, _ = labelled_frames(read_poses(run / "predictions.slp")[0])
    pose = {frame.frame: frame.points[0] for frame in found}
    order = [line.split(",") for line in (run / "split.csv").read_text(encoding="utf-8").splitlines()[1:]]
    tested = {int(row[0].rsplit("#", 1)[1]) for row in order if row[2] == "test"}
    rows = []
    for frame in truth:
        if frame.frame in tested:
            away = np.linalg.norm(frame.points[0] - pose.get(frame.frame, np.full((4, 2), np.nan)), axis=1)
            rows.append([round(float(a), 3) if np.isfinite(a) else None for a in away])
    return rows


def ours(files: str, folder: str, steps: str, seed: str, video: str) -> None:
    """Our side of the comparison, in a process of its own; prints one line of JSON, as the peer's script does."""
    import torch

    from benchmarks.peers.sleap_nn import BATCH, EPOCH, FRAMES, RATE, SCALE, Stamps, errors_of, memory_mb, timed
    from ethomorph.formats.poses import find_films, read_poses
    from ethomorph.keypoints.pose.networks import parameters

    torch.set_num_threads(1)
    stamps = Stamps()
    settings = {
        "data": {"input_scale": SCALE},
        "model": {"filters": 16},
        "optimization": {
            "batch": BATCH, "steps_an_epoch": EPOCH, "epochs": -(-int(steps) // EPOCH), "learning_rate": RATE,
        },
        "augmentation": {
            "rotation_min_deg": -15, "rotation_max_deg": 15, "contrast_min": 1, "contrast_max": 1, "brightness_min": 1,
            "brightness_max": 1, "noise_sd": 0.0,
        },
    }  # fmt: skip
    model = PoseEstimator(settings=settings, seed=int(seed))
    model.fit(Path(files, "train.slp"), validation=Path(files, "validation.slp"), folder=folder, progress=False)
    learned = memory_mb()
    model.save(Path(folder, "model"))
    truth, _ = read_poses(Path(files, "test.slp"))
    found = model.predict(find_films(truth, Path(files, "test.slp"))[0], progress=False)
    _, speed = timed(lambda: model.predict(video, stop=FRAMES, progress=False), FRAMES)
    count, held = parameters(model._networks["single_instance"]), memory_mb()
    done = {"parameters": count, "training_memory_mb": learned, "memory_mb": held, **speed, **stamps.told()}
    print(json.dumps(done | {"errors_px": errors_of(truth, found), "arithmetic": arithmetic(model)}))


def arithmetic(model: PoseEstimator) -> dict[str, float]:
    """What a frame costs the network, and what this core makes of a product of large matrices: the bound of any
    runtime that convolves as it is written."""
    import time

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    network = model._networks["single_instance"]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros((1, 1, *model.pipeline_.canvas()), dtype=torch.uint8))
    matrix, speeds = torch.randn(1024, 1024), []
    for _ in range(5):
        begun = time.process_time()
        for _ in range(5):
            matrix @ matrix
        speeds.append(5 * 2 * 1024**3 / (time.process_time() - begun) / 1e9)
    return {"gflop_a_frame": counter.get_total_flops() / 1e9, "matrix_gflop_a_second": max(speeds)}


def peer(work: Path, steps: int) -> dict[str, Any]:
    """A short training and prediction by both tools, one after the other, each in a process of one thread.

    What is there already in ``peer/`` is not measured again.
    """
    from benchmarks.peers.sleap_nn import exported

    files = exported(DATA, work / "peer", seed=SEED)
    video = str(DATA / "videos" / "m3v1mp4.mp4")
    theirs = [*shlex.split(os.environ["PEER_PYTHON"]), str(Path(__file__).parent / "peers" / "sleap_nn.py")]
    mine = [sys.executable, "-c", "import sys; from benchmarks.pose_openfield import ours; ours(*sys.argv[1:])"]
    rounds: dict[str, Any] = {}
    for name, command in (("ours", mine), ("sleap-nn", theirs)):
        note = work / "peer" / f"{name}.json"
        if note.is_file():
            rounds[name] = json.loads(note.read_text(encoding="utf-8"))
            continue
        done = subprocess.run(
            [*command, str(files), str(work / "peer" / name), str(steps), str(SEED), video],
            capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{name}: {done.stderr[-2000:]}")
        rounds[name] = json.loads(done.stdout.splitlines()[-1])
        note.write_text(json.dumps(rounds[name]), encoding="utf-8")
        print(name, rounds[name], flush=True)
    return rounds


def figures(errors: list[list[float | None]]) -> dict[str, float]:
    """Mean, median, largest error over the nodes that were found, and the shares found and within 10 px of all."""
    known = np.array([np.nan if e is None else e for row in errors for e in row])
    found = known[np.isfinite(known)]
    shares = {"found": len(found) / len(known), "within_10_px": float((found <= 10).sum()) / len(known)}
    if not len(found):
        return {"mean": np.inf, "median": np.inf, "largest": np.inf} | shares
    return {"mean": float(found.mean()), "median": float(np.median(found)), "largest": float(found.max())} | shares


def claims_of(parts: dict[str, Any]) -> list[Claim]:
    """Rows of the book for the parts that are there."""
    claims = []
    if part := parts.get("best"):
        got, minutes = figures(part["errors_px"]), part["cpu_minutes"]
        interval = part["scores"]["metrics"]["mean_error"]
        frames = len(part["errors_px"])
        claims += [
            Claim(
                f"Open-field mouse, {frames} test frames in stretches of one video, our best settings in {minutes:.0f} "
                "processor minutes: mean error of found nodes, median, share of nodes found",
                f"{got['mean']:.2f} px, {got['median']:.2f} px, {got['found']:.1%}", goal="mean at most 3 px",
                met=got["mean"] <= 3 and got["found"] == 1,
            ),
            Claim(
                "The same: largest error of any node of any frame", f"{got['largest']:.1f} px", goal="none over 20 px",
                met=got["largest"] <= 20,
            ),
        ]  # fmt: skip
        if interval["value"] is None or abs(interval["value"] - got["mean"]) > 0.1:
            raise RuntimeError(f"two ways to the mean error disagree: {interval} and {got}")
    if part := parts.get("peer"):
        claims += peer_claims(part["ours"], part["sleap-nn"])
    return claims


def peer_claims(ours: dict[str, Any], theirs: dict[str, Any]) -> list[Claim]:
    """The short comparison: same U-Net, split, steps and seed, one thread, one after the other."""
    if ours["parameters"] != theirs["parameters"]:
        raise RuntimeError(f"{ours['parameters']} parameters are not {theirs['parameters']}")
    sides = (("ours", ours), ("sleap-nn", theirs))
    said = (
        f"same U-Net ({ours['parameters']:,} parameters), split, {ours['steps']} steps of 4 at half scale, seed; one "
        "thread each, speeds by processor time "
        + " and ".join(f"({name}: {side.get('conditions', 'other programs running')})" for name, side in sides)
    )
    mine, other = figures(ours["errors_px"]), figures(theirs["errors_px"])
    steps = ours["steps_a_processor_second"] / theirs["steps_a_processor_second"]
    frames = ours["frames_a_processor_second"] / theirs["frames_a_processor_second"]
    memory = ours["memory_mb"] / theirs["memory_mb"]

    bound = []
    if known := ours.get("arithmetic"):
        bound = [
            Claim(
                "The same: arithmetic of predicted frames a processor second, decoding and all in the time; beside it "
                "the product of two large matrices, which convolving a frame as it is written cannot outrun",
                f"{ours['frames_a_processor_second'] * known['gflop_a_frame']:.0f} GFLOP",
                f"matrix product: {known['matrix_gflop_a_second']:.0f} GFLOP",
            )
        ]

    def error(got: dict[str, float]) -> str:
        if not got["found"]:
            return "no node found"
        return f"{got['within_10_px']:.0%} within 10 px, mean {got['mean']:.1f} px of {got['found']:.0%} found"

    return [
        Claim(
            f"Nodes of the test frames after a short training; {said}", error(mine), f"sleap-nn 0.3.5: {error(other)}",
            goal="not worse", met=mine["within_10_px"] >= other["within_10_px"],
        ),
        Claim(
            "The same: training steps a processor second", f"{ours['steps_a_processor_second']:.2f}",
            f"sleap-nn 0.3.5: {theirs['steps_a_processor_second']:.2f}", ratio=round(steps, 2),
            goal="at least 1.3 times", met=steps >= 1.3,
        ),
        *bound,
        Claim(
            "The same: frames of a video predicted a processor second, decoding included",
            f"{ours['frames_a_processor_second']:.1f}", f"sleap-nn 0.3.5: {theirs['frames_a_processor_second']:.1f}",
            ratio=round(frames, 2), goal="at least 2 times", met=frames >= 2,
        ),
        Claim(
            "The same: peak memory of training and prediction in one process", f"{ours['memory_mb']:.0f} MB",
            f"sleap-nn 0.3.5: {theirs['memory_mb']:.0f} MB", ratio=round(memory, 2), goal="lower", met=memory < 1,
        ),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--part", choices=("best", "peer", "write"), default="write")
    parser.add_argument("--epochs", type=int, default=40, help="of 50 steps, for the best settings")
    parser.add_argument("--minutes", type=float, default=60, help="at most, by the wall, for the best settings")
    parser.add_argument("--steps", type=int, default=100, help="for the short comparison")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    if given.part == "best":
        (work / "best.json").write_text(json.dumps(best(work, given.epochs, given.minutes)))
    elif given.part == "peer":
        (work / "peer.json").write_text(json.dumps(peer(work, given.steps)))
    parts = {
        name: json.loads((work / f"{name}.json").read_text())
        for name in ("best", "peer")
        if (work / f"{name}.json").is_file()
    }
    claims = claims_of(parts)
    print(write_result("pose_openfield", claims, seed=SEED, watch=watch, **parts))
    for claim in claims:
        print(claim)


if __name__ == "__main__":
    main()
