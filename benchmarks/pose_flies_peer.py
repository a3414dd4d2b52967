"""Two courting flies learned by sleap-nn in our processor time: same frames for training, validation and test.

``python -m benchmarks.pose_flies_peer --work DIR --ours DIR --part top_down|bottom_up``, then ``--part write``. OURS is
the folder of `benchmarks.pose_animals`, whose finished parts are read. ``PEER_PYTHON`` is the command that runs a
script in sleap-nn's environment, see `benchmarks.peers.sleap_nn_flies`; its test frames are predicted once.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.study.provenance import Stopwatch

if TYPE_CHECKING:
    import sleap_io

    from ethomorph.keypoints.pose.data import LabelledFrame, Scheme

DATA = Path(__file__).parents[2] / "shared" / "data" / "pose-sleap"
SCRIPT = Path(__file__).parent / "peers" / "sleap_nn_flies.py"
SEED = 0
STUDY = """\
[study]
name = "flies"
[split]
by = "time"
test = 0.2
validation = 0.2
seed = 0
[task.t]
kind = "pose"
labels = "{labels}"
images = "{images}"
"""
STAGES = {"top_down": {"centroid": 1 / 3, "centered_instance": 2 / 3}, "bottom_up": {"bottomup": 1.0}}
"""Of each pipeline, with their shares of the processor time."""
EPOCHS = 5
"""Looks at the validation part, spread evenly over the training."""
PROBE = 24
"""Steps that are timed beforehand."""
LOOKS = {"centroid": 8, "centered_instance": 4, "bottomup": 10}
"""Steps that a look at the validation part takes about as long as."""
JUDGED = 24
"""Validation frames that are looked at, as in our runs."""
TRIED = [
    "The first centroid net had 16 filters, sigma 2.5 px at stride 2 and steps of 4: 50 steps in its share of the time "
    "left it at zero (loss of the validation part 0.0024). The test frames were not predicted.",
    "The second had 16 filters, sigma 5 px at stride 4 and steps of 1: 275 steps; its centroids of the validation part "
    "were off by 18 px in the median. Test: strict mAP 0.000, PCK at 5 px 0.065, IDF1 0.640. The third is the one "
    "reported, with the same net for crops, chosen since its centroids of the validation part are off by 8 px.",
    "The net that sees whole frames bottom-up has the settings of the second centroid net, since it has no time for "
    "more than 120 steps of 4. With the least score of a line at 0.01 instead of 0.25 all animals of the validation "
    "part are joined, from nodes of both (PCK at 5 px 0.026): the default was kept. "
    "Fields and maps weigh the same in sleap-nn's loss here, while fields weigh four times as much in ours; a greater "
    "weight of its fields was not tried, and might have joined its nodes.",
]
"""Settings that were tried before, all in sleap-nn's favour, and what came of them."""
SHOWN = ("mAP", "pck_5px", "IDF1")


def exported(folder: Path, split: Path) -> Path:
    """Write ``train.slp``, ``validation.slp`` and ``test.slp``: the parts of our study, checked against our run's.

    Validation holds the frames that our run looks at. Left and right nodes are marked as partners, by their names, so
    that views can be mirrored; ours finds these partners by itself.
    """
    from ethomorph.keypoints.pose.augment import sided
    from ethomorph.keypoints.pose.estimator import spread
    from ethomorph.keypoints.pose.task import PoseTask
    from ethomorph.study.config import Study
    from ethomorph.study.task import open_task

    folder.mkdir(parents=True, exist_ok=True)
    text = STUDY.format(labels=DATA / "clip.slp", images=DATA / "clip.mp4")
    (folder / "study.toml").write_text(text, encoding="utf-8")
    task = open_task(Study(folder))
    assert isinstance(task, PoseTask)
    parts = task.assign()
    ours = [line.rsplit(",", 1)[1] for line in split.read_text(encoding="utf-8").splitlines()[1:]]
    if parts != ours:
        raise RuntimeError(f"{split} is another split")
    scheme, _ = sided(task.scheme, "horizontal")
    for part in ("train", "validation", "test"):
        chosen = [frame for frame, p in zip(task.frames, parts, strict=True) if p == part]
        if part == "validation":
            chosen = list(spread(chosen, JUDGED))
        labels_of(chosen, scheme).save(str(folder / f"{part}.slp"), embed=False, verbose=False)
    return folder


def labels_of(frames: list[LabelledFrame], scheme: Scheme) -> sleap_io.Labels:
    """Frames of the clip as labels by hand."""
    import sleap_io

    skeleton, video = scheme.skeleton(), sleap_io.Video(filename=str(DATA / "clip.mp4"), open_backend=False)
    tracks = {name: sleap_io.Track(name) for name in sorted({t for frame in frames for t in frame.tracks})}
    made = [
        sleap_io.LabeledFrame(
            video, frame.frame,
            [
                sleap_io.Instance.from_numpy(points, skeleton=skeleton, track=tracks[name])
                for points, name in zip(frame.points, frame.tracks, strict=True)
            ],
        )
        for frame in frames
    ]  # fmt: skip
    return sleap_io.Labels(made, [video], [skeleton], tracks=list(tracks.values()))


def asked(note: Path, *words: str | int | Path) -> dict[str, Any]:
    """What the peer's script says, kept in `note`, where it is read the next time."""
    if not note.is_file():
        command = [*shlex.split(os.environ["PEER_PYTHON"]), str(SCRIPT), *map(str, words)]
        here = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[1])}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | here)
        if done.returncode:
            raise RuntimeError(done.stderr[-3000:])
        note.write_text(done.stdout.splitlines()[-1], encoding="utf-8")
    said: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
    return said


def learned(files: Path, folder: Path, stage: str, minutes: float) -> dict[str, Any]:
    """One stage trained for so many processor minutes of steps and looks, by the speed of a few steps beforehand."""
    train, look = files / "train.slp", files / "validation.slp"
    probe = asked(folder / f"{stage}-probe.json", "learn", look, look, folder / "probe", stage, 1, PROBE, SEED)
    steps = max(1, int(60 * minutes / probe["step_s"] / EPOCHS - LOOKS[stage]))
    found = asked(folder / f"{stage}.json", "learn", train, look, folder, stage, EPOCHS, steps, SEED)
    print(stage, {k: v for k, v in found.items() if k != "losses"}, flush=True)
    return found


def peer(method: str, work: Path, ours: Path) -> dict[str, Any]:
    """Both sides of one pipeline: sleap-nn trained in our processor minutes, the same test frames, the same scores."""
    part = json.loads((ours / f"flies_{method}.json").read_text(encoding="utf-8"))
    run = ours / f"flies_{method}" / "runs" / "t" / "r"
    files = exported(work / "files", run / "split.csv")
    folder = work / method
    folder.mkdir(parents=True, exist_ok=True)
    minutes, stages = float(part["training"]["cpu_minutes"]), STAGES[method]
    training = {name: learned(files, folder, name, share * minutes) for name, share in stages.items()}
    told = asked(folder / "found.json", "find", files, folder, *stages)
    steps = " and ".join(f"{one['steps']} steps" for one in training.values())
    known = part["scores"]["metrics"]
    again = scored(files / "test.slp", files, run / "predictions.slp", 0.0, "")["metrics"]
    if any(abs(again[name]["value"] - known[name]["value"]) > 1e-6 for name in SHOWN[:2]):
        raise RuntimeError("our run's predictions are scored in another way than in its own scores")
    highest = told.get("highest_map", told["validation"]["all"]["highest"])
    ended = f"training ended after {steps}"
    looked = scored(files / "validation.slp", files, folder / "validation.slp", highest, ended)["metrics"]
    return {
        "ours": {"cpu_minutes": minutes, "metrics": known, "status": part["scores"]["status"]},
        "sleap-nn": {
            "fit_cpu_minutes": sum(one["fit_cpu_minutes"] for one in training.values()),
            "cpu_minutes": sum(one["cpu_minutes"] for one in training.values()), "training": training, **told,
            "validation_metrics": {name: looked[name] for name in SHOWN[:2]},
            "scores": scored(files / "test.slp", files, folder / "test.slp", highest, ended),
        },
    }  # fmt: skip


def scored(truth: Path, files: Path, found: Path, highest: float, ended: str) -> dict[str, Any]:
    """Our scores of predictions of `truth`, intervals over the same stretches as those of our runs."""
    from ethomorph.formats.poses import read_poses
    from ethomorph.keypoints.pose.data import labelled_frames
    from ethomorph.keypoints.pose.frames import paired_labels
    from ethomorph.keypoints.pose.score import score_poses
    from ethomorph.keypoints.pose.task import MOMENTS
    from ethomorph.keypoints.pose.track_score import swaps, track_scores

    rows, scheme = paired_labels(read_poses(truth)[0], read_poses(found)[0], blocks=MOMENTS)
    train, _ = labelled_frames(read_poses(files / "train.slp")[0])
    block = score_poses(
        rows, scheme.names, highest=highest, threshold=0.2, learned=ended, seed=SEED,
        training=np.array([points for frame in train for points in frame.points]),
    )  # fmt: skip
    kept = [
        replace(
            row, predicted=row.found[named := [bool(name) for name in row.predicted_tracks]], scores=row.scores[named],
            predicted_tracks=[name for name in row.predicted_tracks if name],
        )
        for row in rows
    ]  # fmt: skip
    metrics, counts = track_scores(kept)
    block["metrics"] |= {name: metric.to_dict() for name, metric in metrics.items()}
    block["counts"] |= {f"track_{name}": value for name, value in counts.items()} | {"swaps": len(swaps(kept))}
    return block


def claims_of(parts: dict[str, Any]) -> list[Claim]:
    """A row a figure of each pipeline."""
    claims = []
    for method, part in parts.items():
        mine, other = part["ours"], part["sleap-nn"]
        theirs, status = other["scores"]["metrics"], other["scores"]["status"]
        steps = ", ".join(f"{name.replace('_', ' ')} {one['steps']:,} steps" for name, one in other["training"].items())
        note = f" ({other['scores']['reason']}{unjoined(other)})" if status != "ok" else ""
        claims.append(
            Claim(
                f"Two flies, {method.replace('_', '-')}, first 60 % of the clip learned, last 20 % tested, one thread: "
                "processor minutes of training; ours from an encoder pretrained on ImageNet, sleap-nn's U-Nets from "
                "scratch, since its own pretrained encoders have to be downloaded; ours count everything from start to "
                "report, sleap-nn's only steps and looks at the validation part",
                f"{mine['cpu_minutes']:.1f}",
                f"sleap-nn 0.3.5: {other['fit_cpu_minutes']:.1f} ({steps})",
            )
        )
        for name, title in zip(
            SHOWN, ("strict mAP", "PCK at 5 px", "IDF1, tracked by each side's own tracker,"), strict=True
        ):
            why = note if name == SHOWN[0] else ""
            claims.append(
                Claim(
                    f"The same, {method.replace('_', '-')}: {title} of the test frames",
                    told(mine["metrics"][name]), f"sleap-nn 0.3.5: {told(theirs[name])}{why}",
                )
            )  # fmt: skip
    return claims


def unjoined(side: dict[str, Any]) -> str:
    """Why nodes that were learned made no pose, where that is so."""
    if side.get("highest_field") is None or side["highest_map"] < 0.2:
        return ""
    return f"; fields, which join nodes to animals, reach {side['highest_field']:.2f} of 1: they were not learned yet"


def told(metric: dict[str, Any]) -> str:
    """A metric with its interval, where it has one."""
    if metric.get("value") is None:
        return f"none: {metric.get('reason')}"
    span = f" ({metric['low']:.3f} to {metric['high']:.3f})" if metric.get("low") is not None else ""
    return f"{metric['value']:.3f}{span}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--ours", type=Path, help="the folder of benchmarks.pose_animals")
    parser.add_argument("--part", choices=(*STAGES, "write"), default="write")
    given = parser.parse_args()
    work = given.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    if given.part != "write":
        if given.ours is None:
            parser.error("--ours is needed to train as long as our runs did")
        found = peer(given.part, work, given.ours.resolve())
        (work / f"{given.part}.json").write_text(json.dumps(found), encoding="utf-8")
    parts = {
        name: json.loads((work / f"{name}.json").read_text(encoding="utf-8"))
        for name in STAGES
        if (work / f"{name}.json").is_file()
    }
    claims = claims_of(parts)
    print(write_result("pose_flies_peer", claims, seed=SEED, watch=watch, tried=TRIED, **parts))
    for claim in claims:
        print(claim)


if __name__ == "__main__":
    main()
