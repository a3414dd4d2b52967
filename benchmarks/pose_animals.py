"""From pixels to identities: two real flies, five simulated fish never seen before, a mouse in a mirror, a long video.

``python -m benchmarks.pose_animals --work DIR --part flies_top_down|flies_bottom_up|fish|mouse|long|thin``: each part
by itself, resumable; ``--part write`` collects what is there. Everything runs through the study's verbs on one thread.
The flies' clip is split by time: trained on the first 60 %, tested on the last 20 %, once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import Claim, write_result
from ethomorph.cli.app import execute
from ethomorph.core.files import atomic_path
from ethomorph.study.provenance import Stopwatch

DATA = Path(__file__).parents[2] / "shared" / "data" / "pose-sleap"
MOUSE = DATA.parent / "pose-mirror-mouse"
SEED = 0
CLIP = 1500
STUDY = """\
[study]
name = "{name}"
[split]
by = "{by}"
test = {test}
validation = {validation}
seed = 0
[task.t]
kind = "pose"
labels = "{labels}"
images = "{images}"
method = "{method}"
[task.t.settings.model]
backbone = "efficientnet-lite0"
filters = {filters}
[task.t.settings.data]
input_scale = {scale}
window_px = {window}
[task.t.settings.heads]
centroid_scale = {centroid_scale}
output_stride = {stride}
centroid_stride = {stride}
field_sigma_px = 8
[task.t.settings.augmentation]
rotation_min_deg = -{turn}
rotation_max_deg = {turn}
flip = "{flip}"
[task.t.settings.optimization]
epochs = {epochs}
steps_an_epoch = {steps}
judged = 24
[task.t.settings.tracking]
animals = {animals}
identity = "{identity}"
"""
FLIES: dict[str, dict[str, Any]] = {
    "top_down": {"scale": 0.5, "epochs": 16, "stride": 2, "flip": "horizontal"},
    "bottom_up": {"scale": 0.5, "window": 192, "epochs": 24, "stride": 2, "flip": "horizontal"},
}
PONDS, POND_FRAMES, POND_STEP = 16, 30, 20
"""Simulated recordings that fish are learned from, labelled frames of each, and frames between two of these."""
UNSEEN = 1000
"""Seed of the pond that is tested, far from those of training."""
THIN_STEPS = 120
TENTH = 10
"""How much shorter the video is that memory is compared with."""
SIDE = 48
CPU = (
    "import json, resource, sys; from ethomorph.cli.app import execute; code = execute(sys.argv[1:]); "
    "used = resource.getrusage(resource.RUSAGE_SELF); "
    "print('measured', json.dumps({'code': code, 'cpu_minutes': (used.ru_utime + used.ru_stime) / 60, "
    "'memory_mb': used.ru_maxrss / 1024}))"
)


def run_verb(*words: str, spent: tuple[Path, float] | None = None) -> dict[str, Any]:
    """One verb in a process of its own: processor minutes, peak memory and, where it prints JSON, what it said.

    What a verb took that was stopped is noted in `spent`, a file, on top of the minutes before.
    """
    done = subprocess.run(
        [sys.executable, "-c", CPU, *words],
        capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    lines = done.stdout.splitlines()
    if not lines or not lines[-1].startswith("measured "):
        raise RuntimeError(done.stderr[-2000:])
    measured: dict[str, Any] = json.loads(lines[-1].removeprefix("measured "))
    if measured.pop("code"):
        if spent is not None:
            spent[0].write_text(json.dumps(spent[1] + measured["cpu_minutes"]), encoding="utf-8")
        raise RuntimeError(done.stderr[-2000:])
    if "--json" in words:
        measured["said"] = json.loads("\n".join(lines[:-1]))
    return measured


def trained(study: Path, text: str) -> tuple[Path, dict[str, Any]]:
    """The run of a study, made or gone on with, and what training it took."""
    run, note, spent = study / "runs" / "t" / "r", study / "trained.json", study / "spent.json"
    if not (run / "scores.json").is_file():
        study.mkdir(parents=True, exist_ok=True)
        (study / "study.toml").write_text(text, encoding="utf-8")
        more = ["--resume"] if (run / "config.toml").is_file() else []
        before = json.loads(spent.read_text(encoding="utf-8")) if spent.is_file() else 0.0
        measured = run_verb("train", str(study), "--run", "r", "--quiet", *more, spent=(spent, before))
        note.write_text(json.dumps(measured | {"cpu_minutes": measured["cpu_minutes"] + before}))
    return run, json.loads(note.read_text(encoding="utf-8"))


def flies(work: Path, method: str) -> dict[str, Any]:
    """Scores of the test part with tracks, and identity swaps over the whole clip."""
    settings = {"name": method, "by": "time", "test": 0.2, "validation": 0.2, "labels": DATA / "clip.slp"}
    settings |= {"images": DATA / "clip.mp4", "method": method, "filters": 24, "steps": 50, "animals": 2, "turn": 180}
    settings |= {"window": 0, "centroid_scale": 0.25, "identity": "none"}
    run, spent = trained(work / f"flies_{method}", STUDY.format(**settings | FLIES[method]))
    out = run / "clip.slp"
    note = run / "clip.json"
    if not note.is_file():
        note.write_text(
            json.dumps(run_verb("predict", str(run), str(DATA / "clip.mp4"), "--out", str(out), "--json", "--quiet"))
        )
    return {
        "training": spent, "prediction": json.loads(note.read_text(encoding="utf-8")),
        "scores": json.loads((run / "scores.json").read_text(encoding="utf-8")),
        "clip": whole_clip(DATA / "clip.slp", out),
    }  # fmt: skip


def whole_clip(truth: Path, found: Path) -> dict[str, Any]:
    """Tracks of a whole video beside its labels."""
    from ethomorph.formats.poses import read_poses
    from ethomorph.keypoints.pose.frames import paired_labels
    from ethomorph.keypoints.pose.track_score import swaps, track_scores

    rows, _ = paired_labels(read_poses(truth)[0], read_poses(found)[0])
    metrics, counts = track_scores(rows)
    return {name: metric.to_dict() for name, metric in metrics.items()} | counts | {"swaps": len(swaps(rows))}


def ponds(folder: Path) -> Path:
    """Videos of some frames of several ponds, and one label file of all."""
    import sleap_io

    from ethomorph.phantoms.arena import simulate_arena, write_video

    folder.mkdir(parents=True, exist_ok=True)
    labelled, videos, skeleton = [], [], None
    for seed in range(PONDS):
        pond = simulate_arena(fish=5, frames=POND_FRAMES * POND_STEP, seed=seed)
        chosen = range(0, len(pond), POND_STEP)
        write_video(folder / f"pond{seed}.mp4", (pond.frame(i) for i in chosen), pond.fps)
        video = sleap_io.Video(filename=str(folder / f"pond{seed}.mp4"), open_backend=False)
        skeleton = skeleton or sleap_io.Skeleton(nodes=pond.nodes, edges=pond.edges, symmetries=pond.symmetry)
        for place, i in enumerate(chosen):
            seen = np.where(pond.hidden[i][..., None], np.nan, pond.poses[i])
            animals = [sleap_io.Instance.from_numpy(p, skeleton=skeleton) for p in seen if np.isfinite(p).any()]
            labelled.append(sleap_io.LabeledFrame(video, place, animals))
        videos.append(video)
    assert skeleton is not None
    sleap_io.Labels(labelled, videos, [skeleton]).save(str(folder / "ponds.slp"), embed=False, verbose=False)
    return folder / "ponds.slp"


def fish(work: Path) -> dict[str, Any]:
    """Five fish of a pond that training never saw, over 1,000 frames."""
    from ethomorph.phantoms.arena import simulate_arena

    folder = work / "ponds"
    labels = folder / "ponds.slp"
    if not labels.is_file():
        ponds(folder)
    settings = {"name": "fish", "by": "video", "test": 0.125, "validation": 0.125, "labels": labels, "images": folder}
    settings |= {"method": "top_down", "filters": 24, "steps": 50, "animals": 5, "scale": 1.0, "window": 0}
    settings |= {"centroid_scale": 0.5, "identity": "appearance"}
    settings |= {"turn": 180, "flip": "horizontal"}
    run, spent = trained(work / "fish", STUDY.format(**settings, epochs=45, stride=2))
    unseen = work / "unseen"
    if not (unseen / "poses.slp").is_file():
        unseen.mkdir(exist_ok=True)
        simulate_arena(fish=5, frames=1000, seed=UNSEEN).write(unseen)
    scores = run / "scores-poses.json"
    if not scores.is_file():
        words = ("score", str(run), "--labels", str(unseen / "poses.slp"), "--images", str(unseen / "video.mp4"))
        run_verb(*words, "--quiet")
    return {"training": spent, "scores": json.loads(scores.read_text(encoding="utf-8"))}


def mouse(work: Path) -> dict[str, Any]:
    """A head-fixed mouse and its mirror image, 17 points of which a tenth is missing: scores, the video predicted and
    drawn."""
    video, study = MOUSE / "videos" / "test_vid.mp4", work / "mouse"
    settings = {"name": "mouse", "by": "block", "test": 0.2, "validation": 0.1, "labels": MOUSE / "CollectedData.csv"}
    settings |= {"images": MOUSE, "method": "single_instance", "filters": 24, "steps": 50, "animals": 1, "turn": 10}
    settings |= {"scale": 0.5, "window": 0, "centroid_scale": 0.5, "identity": "none"}
    text = STUDY.format(**settings, flip="none", epochs=16, stride=2)
    run, spent = trained(study, text)
    note, out = run / "video.json", run / "video.slp"
    if not note.is_file():
        found = run_verb("predict", str(run), str(video), "--out", str(out), "--json", "--quiet")
        run_verb("render", str(video), str(out), "--out", str(run / "overlay.mp4"))
        note.write_text(json.dumps(found))
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    return {"training": spent, "prediction": json.loads(note.read_text(encoding="utf-8")), "scores": scores}


def long_video(work: Path, longest: int) -> dict[str, Any]:
    """Peak memory of predicting videos of tiny frames, ten times as long the second time."""
    import sleap_io

    from ethomorph.formats.video import write_video

    folder = work / "long"
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    grid = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1)
    places = [(24 + 12 * np.cos(t), 24 + 12 * np.sin(t)) for t in np.linspace(0, 40 * np.pi, 1000)]
    pictures = []
    for place in places:
        near = np.exp(-((grid - place) ** 2).sum(-1) / 18)
        pictures.append(np.repeat(np.clip(60 + 180 * near + rng.normal(0, 3, near.shape), 0, 255)[..., None], 3, -1))
    frames = [p.astype(np.uint8) for p in pictures]
    write_video(folder / "short.mp4", iter(frames[:40]), 25.0)
    skeleton = sleap_io.Skeleton(nodes=["middle", "right"])
    video = sleap_io.Video(filename=str(folder / "short.mp4"), open_backend=False)
    labelled = [
        sleap_io.LabeledFrame(
            video, i, [sleap_io.Instance.from_numpy(np.array([p, (p[0] + 4, p[1])]), skeleton=skeleton)]
        )
        for i, p in enumerate(places[:40])
    ]
    sleap_io.Labels(labelled, [video], [skeleton]).save(str(folder / "short.slp"), embed=False, verbose=False)
    study = folder / "study"
    tiny = ("model.backbone=unet-bn", "model.filters=4", "model.max_stride=8", "optimization.epochs=3")
    quick = ("optimization.steps_an_epoch=30", "optimization.averaging=0.9", "optimization.learning_rate=0.004")
    sets = [word for key in (*tiny, *quick) for word in ("--set", f"settings.{key}")]
    with contextlib.redirect_stdout(io.StringIO()):
        if not study.exists():
            labels = str(folder / "short.slp")
            execute(["new", str(study), "--kind", "pose", "--labels", labels, "--images", str(folder)])
        if not (study / "runs" / "short" / "r" / "scores.json").is_file():
            execute(["train", str(study), "--run", "r", "--quiet", *sets])
    found: dict[str, Any] = {}
    write_video(folder / "circle.mp4", iter(frames), 25.0)
    for count in (longest // TENTH, longest):
        film, out = folder / f"{count}.mp4", folder / f"{count}.slp"
        if not film.is_file():
            repeat_video(folder / "circle.mp4", film, count // len(frames))
        found[str(count)] = run_verb("predict", str(study), str(film), "--out", str(out), "--json", "--quiet")
        found[str(count)]["file_mb"] = out.stat().st_size / 2**20
        print(count, found[str(count)], flush=True)
    return found


def repeat_video(source: Path, target: Path, times: int) -> None:
    """A video over and over again, without encoding anything twice."""
    import av

    with atomic_path(target) as temporary, av.open(str(temporary), "w", format="mp4") as out:
        with av.open(str(source)) as first:
            stream = out.add_stream_from_template(first.streams.video[0])
            span = first.streams.video[0].duration or 0
        for turn in range(times):
            with av.open(str(source)) as again:
                for packet in again.demux(again.streams.video[0]):
                    if packet.dts is not None and packet.pts is not None:
                        packet.pts, packet.dts = packet.pts + turn * span, packet.dts + turn * span
                        packet.stream = stream
                        out.mux(packet)


def thin(work: Path) -> dict[str, Any]:
    """Errors and highest confidence of short trainings on thin targets (sigma 2.5 px at stride 2), by both losses."""
    import torch

    from ethomorph.formats.poses import video_named
    from ethomorph.formats.video import write_video
    from ethomorph.keypoints.pose.estimator import PoseEstimator, opened

    torch.set_num_threads(1)
    folder = work / "thin"
    folder.mkdir(parents=True, exist_ok=True)
    import sleap_io

    from ethomorph.phantoms.arena import simulate_arena

    pond = simulate_arena(fish=1, frames=480, size=(192, 192), length_px=40, plants=0, seed=SEED)
    chosen = range(0, len(pond), 20)
    write_video(folder / "pond.mp4", (pond.frame(i) for i in chosen), 25.0)
    skeleton, video = sleap_io.Skeleton(nodes=pond.nodes), video_named(str(folder / "pond.mp4"))
    frames = [
        sleap_io.LabeledFrame(video, place, [sleap_io.Instance.from_numpy(pond.poses[i, 0], skeleton=skeleton)])
        for place, i in enumerate(chosen)
    ]
    sleap_io.Labels(frames, [video], [skeleton]).save(str(folder / "pond.slp"), embed=False, verbose=False)
    _, truth, films, _ = opened(folder / "pond.slp", folder)
    found: dict[str, Any] = {"steps": THIN_STEPS}
    for loss in ("auto", "mse"):
        rows = []
        for seed in range(3):
            settings = {
                "model": {"filters": 8, "max_stride": 16},
                "heads": {"loss": loss, "sigma_px": 2.5, "output_stride": 2},
                "optimization": {"epochs": THIN_STEPS // 20, "steps_an_epoch": 20, "averaging": 0.9},
            }
            model = PoseEstimator(settings=settings, seed=seed, runtime="torch").fit(
                folder / "pond.slp", media=folder, progress=False
            )
            poses = model.predict_labelled(truth, films)
            errors = [
                float(np.nanmedian(np.linalg.norm(one[0].points - frame.points[0], axis=1)))
                for one, frame in zip(poses, truth, strict=True)
                if one and np.isfinite(one[0].points).any()
            ]
            shown = sum(len(one) for one in poses) / len(truth)
            rows.append(
                {
                    "highest": model.pipeline_.highest,
                    "found": shown,
                    "median_px": float(np.median(errors)) if errors else None,
                }
            )
            print(loss, seed, rows[-1], flush=True)
        found[loss] = rows
    return found


def claims_of(parts: dict[str, Any]) -> list[Claim]:
    """Rows of the book for the parts that are there."""
    claims = []
    for method in FLIES:
        if part := parts.get(f"flies_{method}"):
            minutes, clip = part["training"]["cpu_minutes"], part["clip"]
            figures = "; ".join(f"{n} {told(part['scores']['metrics'][n])}" for n in ("mAP", "pck_5px", "IDF1"))
            claims.append(
                Claim(
                    f"Two flies, {method.replace('_', '-')}, {minutes:.0f} processor minutes on the first 60 % of the "
                    "clip, last 20 % tested: strict mAP, PCK at 5 px, IDF1, with intervals over stretches; swaps over "
                    "the whole clip",
                    f"{figures}; swaps {clip['swaps']} in {CLIP} frames",
                )
            )  # fmt: skip
    if part := parts.get("fish"):
        metrics = part["scores"]["metrics"]
        note = f" ({part['training']['note']})" if "note" in part["training"] else ""
        claims.append(
            Claim(
                f"Five simulated fish of an unseen pond, 1,000 frames, top-down, {part['training']['cpu_minutes']:.0f} "
                f"processor minutes of training{note}: strict mAP, IDF1",
                f"{told(metrics['mAP'])}, {told(metrics['IDF1'])}; swaps {part['scores']['counts']['swaps']}",
                goal="mAP at least 0.9, IDF1 at least 0.95",
                met=metrics["mAP"]["value"] >= 0.9 and metrics["IDF1"]["value"] >= 0.95,
            )
        )  # fmt: skip
    if part := parts.get("mouse"):
        metrics, video = part["scores"]["metrics"], part["prediction"]["said"]
        count, minutes = part["scores"]["counts"]["truth_frames"], part["training"]["cpu_minutes"]
        claims.append(
            Claim(
                f"Mouse and its mirror image, 17 points with gaps, {minutes:.0f} processor minutes of training, "
                f"{count} test frames: mean error, PCK at 10 px; video predicted",
                f"{told(metrics['mean_error'])} px, {told(metrics['pck_10px'])}; {video['images']} frames, "
                f"{video['frames_per_second']:.0f} a second",
            )
        )  # fmt: skip
    if part := parts.get("thin"):
        heights = {loss: [row["highest"] for row in part[loss]] for loss in ("auto", "mse")}
        claims.append(
            Claim(
                f"Thin targets (sigma 2.5 px at stride 2, 192 x 192 px), {part['steps']} steps from scratch, three "
                "seeds: frames with the animal found, highest confidence",
                ", ".join(f"{row['found']:.0%} ({row['highest']:.2f})" for row in part["auto"]),
                "mean squared error: " + ", ".join(f"{row['found']:.0%} ({row['highest']:.2f})" for row in part["mse"]),
                goal="no seed collapses", met=min(heights["auto"]) > 0.2,
            )
        )  # fmt: skip
    if part := parts.get("long"):
        counts = sorted(int(count) for count in part)
        few, many = (part[str(count)] for count in counts)
        claims.append(
            Claim(
                f"Peak memory of predicting {counts[1]:,} frames of {SIDE} x {SIDE} px, beside {counts[0]:,}",
                f"{many['memory_mb']:.0f} MB, {many['said']['frames_per_second']:.0f} frames/s",
                f"{few['memory_mb']:.0f} MB, {few['said']['frames_per_second']:.0f} frames/s",
                ratio=round(many["memory_mb"] / few["memory_mb"], 2), goal="bounded: at most 1.2 times",
                met=many["memory_mb"] <= 1.2 * few["memory_mb"],
            )
        )  # fmt: skip
    return claims


def told(metric: dict[str, Any]) -> str:
    """A metric with its interval, where it has one."""
    if metric.get("value") is None:
        return f"none ({metric.get('reason')})"
    span = f" ({metric['low']:.3f} to {metric['high']:.3f})" if metric.get("low") is not None else ""
    return f"{metric['value']:.3f}{span}"


PARTS = ("flies_top_down", "flies_bottom_up", "fish", "mouse", "long", "thin")


def measured(part: str, work: Path, longest: int) -> dict[str, Any]:
    """One part's figures."""
    if part.startswith("flies_"):
        return flies(work, part.removeprefix("flies_"))
    return long_video(work, longest) if part == "long" else {"fish": fish, "mouse": mouse, "thin": thin}[part](work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--part", choices=(*PARTS, "write"), default="write")
    parser.add_argument("--frames", type=int, default=200_000, help="of the long video")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    watch = Stopwatch()
    if given.part != "write":
        found = measured(given.part, given.work.resolve(), given.frames)
        (given.work / f"{given.part}.json").write_text(json.dumps(found))
    parts = {
        name: json.loads((given.work / f"{name}.json").read_text())
        for name in PARTS
        if (given.work / f"{name}.json").is_file()
    }
    claims = claims_of(parts)
    print(write_result("pose_animals", claims, seed=SEED, watch=watch, **parts))
    for claim in claims:
        print(claim)


if __name__ == "__main__":
    main()
