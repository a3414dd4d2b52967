"""The poses of a study as a task: load, audit, fit, score and report, on the parts that a split made."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from ethomorph.core.errors import LabelError, SplitError, StudyError
from ethomorph.core.files import write_text
from ethomorph.formats.poses import find_films, read_poses, renamed_videos, video_named, write_poses
from ethomorph.formats.video import Film
from ethomorph.keypoints.pose.data import LabelledFrame, labelled_frames, refuse_beyond_film, scheme_of
from ethomorph.keypoints.pose.estimator import PoseEstimator, refuse_untrainable
from ethomorph.keypoints.pose.frames import ScoredFrame, file_name, scored_frames
from ethomorph.keypoints.pose.groups import told
from ethomorph.keypoints.pose.pipelines.base import most_animals
from ethomorph.keypoints.pose.profiles import combined, read_profile
from ethomorph.keypoints.pose.score import score_poses
from ethomorph.keypoints.pose.settings import PoseSettings
from ethomorph.keypoints.pose.track import Tracking
from ethomorph.study.config import TaskSection
from ethomorph.study.run import Run, plain
from ethomorph.study.split import assign_parts
from ethomorph.study.task import PER_SAMPLE, Chapter, Part, Task

if TYPE_CHECKING:
    import sleap_io

PREDICTIONS = "predictions.slp"
BLOCKS = 20
"""Stretches that a single video is divided into, each going whole into one part."""
MOMENTS = 60
"""Stretches of a video that is split by time, where they only make intervals: a test part of a fifth holds twelve."""
OWN = ("profile", "tracking", "runtime")
"""Keys of [task.NAME.settings] that are not the model's."""


class PoseTask(Task):
    """``kind = "pose"``.

    Attributes
    ----------
    labels : as read.
    frames : every labelled frame, a sample each, in the order of `samples`.
    films : the videos.
    """

    main_metric = "mean_error"

    def load(self) -> None:
        path = self.study.existing(self.section.labels, f"task.{self.name}.labels")
        self.inputs.append(path)
        images = self.section.images
        self.media = self.study.existing(images, f"task.{self.name}.images") if images else None
        self.labels, notes = read_poses(path)
        self.scheme = scheme_of(self.labels)
        self.frames, said = labelled_frames(self.labels)
        if not self.frames:
            raise LabelError("there is no labelled animal", place=path, fix="label some frames first")
        self.films = find_films(self.labels, path, self.media)
        refuse_beyond_film(self.frames, self.films, str(path))
        self.warnings += [*notes, *said, *(f"{film.name}: {note}" for film in self.films for note in film.notes)]
        self.tracking = Tracking.from_dict(dict(self.section.settings.get("tracking", {})))
        self.estimator = self._estimator(None)
        self.by, self.samples = samples_table(self.frames, self.labels, self.study.config.split.by)
        if self.by in ("block", "time") and self.study.config.split.by == "specimen":
            self.warnings.append(
                f"{len(self.films)} video(s) are too few to keep whole ones apart: the split is by {BLOCKS} stretches "
                "of each, so training and test show the same animals and the score flatters"
            )

    def assign(self) -> list[str]:
        """The part of each frame; by time, the first stretch trains and the last is tested."""
        split = self.study.config.split
        groups = self.samples["group"].tolist()
        if self.by != "time":
            return assign_parts(groups, test=split.test, validation=split.validation, seed=split.seed)
        share = np.arange(len(groups)) / max(1, len(groups))
        last = 1 - split.test
        return ["test" if s >= last else "validation" if s >= last - split.validation else "train" for s in share]

    def resolved(self) -> dict[str, Any]:
        return plain(self.estimator.resolved() | {"tracking": vars(self.tracking)})

    def remedies(self) -> dict[str, dict[str, Any]]:
        key = "settings.optimization.learning_rate"
        rate = self.estimator.settings.optimization.learning_rate
        return {
            "lower_rate": {key: rate / 10}, "much_lower_rate": {key: rate / 100}, "higher_rate": {key: rate * 10},
            "usual_rate": {key: PoseSettings().optimization.learning_rate},
        }  # fmt: skip

    def refuse_unfit(self, parts: list[str]) -> None:
        train = self._part(parts, "train")
        if not train:
            raise SplitError("no training frames", place=self.study.file, fix="change [split]")
        refuse_untrainable(train, self.estimator.method)

    def audit(self, parts: list[str] | None, *, progress: bool) -> Any:
        from ethomorph.audit.run import run_audit
        from ethomorph.formats.sleap_slp import from_labels

        landmarks = from_labels(self.labels, self.section.labels)
        if len(landmarks) != len(self.samples):
            names = self.samples if parts is None else self.samples.assign(part=parts)
            return run_audit(None, samples=names, images=False, progress=progress)
        samples = self.samples if parts is None else self.samples.assign(part=parts)
        return run_audit(landmarks, samples=samples, images=False, progress=progress)

    def fit(self, parts: list[str], run: Run, *, max_minutes: float | None, resume: bool, progress: bool) -> None:
        train, validation = self._part(parts, "train"), self._part(parts, "validation")
        self.inputs += [path for film in self.films if (path := getattr(film, "path", None)) is not None]
        model = self._estimator(max_minutes)
        model.scheme_ = self.scheme
        model.pipeline_, _ = model.prepared(train, self.films, self.scheme)
        groups = told(model.groups({"train": len(train), "validation": len(validation)}), self.without)
        write_text(run.folder / "model.txt", groups + "\n")
        if progress:
            print(groups, file=sys.stderr)
        model.fit_frames(
            train, validation, self.films, self.scheme, folder=run.folder, resume=resume, progress=progress
        )
        model.notes_ = [*self.warnings, *model.notes_]
        model.save(run.model)

    def score(self, parts: list[str], run: Run, *, part: str, progress: bool) -> dict[str, Any]:
        truth = self._part(parts, part)
        model = self._load(run)
        found = model.predict_labelled(truth, self.films)
        chosen = self.samples[[p == part for p in parts]]
        rows = scored_frames(truth, found, chosen["sample"].tolist(), chosen["group"].tolist())
        write_poses(self._labels_of(truth, rows), run.folder / PREDICTIONS)
        write_text(run.folder / PER_SAMPLE, per_sample(rows).to_csv(index=False))
        block = self._scores(rows, model, self._part(parts, "train"), run)
        return followed_too(block, rows, truth, self.tracking, self.films)

    def score_other(self, run: Run, labels: Path, images: Path | None, *, progress: bool) -> dict[str, Any]:
        """Scores on other labelled data, against this run's own training part as baseline."""
        other, notes = read_poses(labels)
        if scheme_of(other).names != self.scheme.names:
            raise LabelError("another skeleton than this run's", place=labels, fix="bring both to the same nodes")
        frames, said = labelled_frames(other)
        films = find_films(other, labels, images)
        refuse_beyond_film(frames, films, str(labels))
        _, samples = samples_table(frames, other, self.study.config.split.by)
        model = self._load(run)
        found = model.predict_labelled(frames, films)
        rows = scored_frames(frames, found, samples["sample"].tolist(), samples["group"].tolist())
        part_of = run.read_split()
        train = [f for f, s in zip(self.frames, self.samples["sample"], strict=True) if part_of.get(s) == "train"]
        block = self._scores(rows, model, train, run)
        block = followed_too(block, rows, frames, self.tracking, films)
        block["warnings"] = [*notes, *said, *block["warnings"]]
        header = {"task": self.name, "kind": "pose", "part": "other", "samples": len(frames)}
        return header | {"groups": int(samples["group"].nunique())} | block

    def chapters(self, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
        from ethomorph.keypoints.pose.chapters import pose_chapters

        truth = self._part(parts, "test")
        if not truth or not (run.folder / PREDICTIONS).is_file():
            return []
        predicted, _ = read_poses(run.folder / PREDICTIONS)
        chosen = self.samples[[p == "test" for p in parts]]
        rows = self._reread(truth, predicted, chosen)
        model = run.folder / "model.txt"
        chapters = pose_chapters(rows, truth, self.films, self.scheme, run.read_json("scores.json"), folder)
        if model.is_file():
            text = model.read_text(encoding="utf-8").replace("&", "&amp;").replace("<", "&lt;")
            chapters.append(Chapter("Model", [Part(html=f"<pre>{text}</pre>")]))
        return chapters

    def _scores(
        self, rows: list[ScoredFrame], model: PoseEstimator, train: list[LabelledFrame], run: Run
    ) -> dict[str, Any]:
        animals = [points for frame in train for points in frame.points]
        return score_poses(
            rows, self.scheme.names, highest=model.pipeline_.highest, threshold=model.settings.heads.peak_threshold,
            training=np.array(animals) if animals else None, learned=ended(run), seed=self.study.config.split.seed,
        )  # fmt: skip

    def _labels_of(self, frames: list[LabelledFrame], rows: list[ScoredFrame]) -> sleap_io.Labels:
        """Predictions of labelled frames, in their own videos."""
        import sleap_io

        from ethomorph.formats.poses import instance_of

        skeleton = self.scheme.skeleton()
        videos = [video_named(video.filename) for video in self.labels.videos]
        made = []
        for frame, row in zip(frames, rows, strict=True):
            animals = [
                instance_of(points, np.isfinite(points).all(1).astype(float) * score, skeleton, score=float(score))
                for points, score in zip(row.found, row.scores, strict=True)
            ]
            made.append(sleap_io.LabeledFrame(video=videos[frame.video], frame_idx=frame.frame, instances=animals))
        labels = sleap_io.Labels(made, videos, [skeleton])
        return renamed_videos(labels, self.films)

    def _reread(
        self, truth: list[LabelledFrame], predicted: sleap_io.Labels, chosen: pd.DataFrame
    ) -> list[ScoredFrame]:
        place = {id(video): i for i, video in enumerate(predicted.videos)}
        lookup = {(place[id(f.video)], int(f.frame_idx)): f for f in predicted.labeled_frames}
        videos = sorted({frame.video for frame in truth}) if len(predicted.videos) != len(self.films) else None
        rows = []
        for frame, name, group in zip(truth, chosen["sample"], chosen["group"], strict=True):
            found = lookup.get((videos.index(frame.video) if videos else frame.video, frame.frame))
            animals = list(found.instances) if found is not None else []
            points = np.array([i.numpy()[:, :2] for i in animals], dtype=float).reshape(-1, len(self.scheme), 2)
            scores = np.array([getattr(i, "score", 1.0) for i in animals], dtype=float)
            rows.append(ScoredFrame(str(name), str(group), frame.points, points, scores))
        return rows

    def _estimator(self, max_minutes: float | None) -> PoseEstimator:
        settings = {key: value for key, value in self.section.settings.items() if key not in OWN}
        method, profiles = self.section.method, self.section.settings.get("profile")
        self.without: list[str] = []
        seed = self.study.config.split.seed
        if profiles:
            paths = [profiles] if isinstance(profiles, str) else list(profiles)
            files = [self.study.existing(Path(p), f"task.{self.name}.settings.profile") for p in paths]
            profile = combined([read_profile(file) for file in files])
            settings = merged(profile.values, settings)
            method, self.without = method or profile.method, profile.without
            seed = profile.seed if profile.seed is not None else seed
        if method is None:
            method = "top_down" if most_animals(self.frames) > 1 else "single_instance"
        return PoseEstimator(
            method=method, settings=settings, seed=seed, max_minutes=max_minutes,  # type: ignore[arg-type]
            runtime=str(self.section.settings.get("runtime", "auto")),  # type: ignore[arg-type]
        )  # fmt: skip

    def _load(self, run: Run) -> PoseEstimator:
        return PoseEstimator.load(run.model, runtime=str(self.section.settings.get("runtime", "auto")))  # type: ignore[arg-type]

    def _part(self, parts: list[str], wanted: str) -> list[LabelledFrame]:
        return [frame for frame, part in zip(self.frames, parts, strict=True) if part == wanted]


TASK = PoseTask

TEMPLATE = """\
[task.{task}]
kind = "pose"
labels = {labels}      # .slp, .pkg.slp, DeepLabCut .csv, .h5 or config.yaml, Lightning Pose .csv, COCO .json, .nwb
{images}
# method = "top_down"  # single_instance, top_down or bottom_up; by the labels where left out
# max_minutes = 60     # stop training after so long

# [split] by: "video" keeps videos whole, "block" stretches of them, "time" tests on the last stretch

# [task.{task}.settings]
# profile = "baseline.single.json"   # SLEAP's training profile, .json or sleap-nn's .yaml; keys below go first

# [task.{task}.settings.model]
# backbone = "efficientnet-lite0"    # or unet (SLEAP's), unet-bn
# [task.{task}.settings.heads]
# sigma_px = 2.5
# [task.{task}.settings.augmentation]
# rotation_min_deg = -180
# rotation_max_deg = 180
# [task.{task}.settings.tracking]
# animals = 2                        # where their number is known
# identity = "appearance"            # tell individuals apart by their looks
"""


def samples_table(frames: list[LabelledFrame], labels: sleap_io.Labels, by: str) -> tuple[str, pd.DataFrame]:
    """What the split goes by, and a row a frame: sample, group, video, frame, animals.

    ``specimen`` means whole videos where there are at least three, otherwise stretches of them.

    Raises
    ------
    StudyError : something that frames are not grouped by.
    """
    names = [file_name(video) for video in labels.videos]
    if len(set(names)) < len(names):
        names = [f"{name} ({i + 1})" for i, name in enumerate(names)]
    if by == "specimen":
        by = "video" if len({frame.video for frame in frames}) >= 3 else "block"
    if by not in ("video", "block", "time", "frame", "sample"):
        raise StudyError(f"split.by = {by!r}", fix="use video, block, time or frame for poses")
    last = {v: max(f.frame for f in frames if f.video == v) + 1 for v in {f.video for f in frames}}
    rows = []
    for frame in frames:
        name = names[frame.video]
        block = f"{name} {frame.frame * (MOMENTS if by == 'time' else BLOCKS) // last[frame.video] + 1:02d}"
        sample = f"{name}#{frame.frame}"
        group = {"video": name, "frame": sample, "sample": sample}.get(by, block)
        rows.append(
            {"sample": sample, "group": group, "video": name, "frame": frame.frame, "animals": len(frame.points)}
        )
    return by, pd.DataFrame(rows)


def per_sample(rows: list[ScoredFrame]) -> pd.DataFrame:
    """A row a frame: its mean error over predicted nodes, empty where none was."""
    from ethomorph.keypoints.pose.score_strict import assign

    assigned = assign(rows)
    errors = []
    for i in range(len(rows)):
        values = assigned.error[assigned.frame == i]
        values = values[np.isfinite(values)]
        errors.append(float(values.mean()) if len(values) else np.nan)
    return pd.DataFrame({"sample": [r.name for r in rows], "group": [r.group for r in rows], "mean_error_px": errors})


def followed_too(
    block: dict[str, Any], rows: list[ScoredFrame], frames: list[LabelledFrame], tracking: Tracking,
    films: Sequence[Film],
) -> dict[str, Any]:
    """Scores with those of tracks beside them, where labels have tracks and frames come one after the other."""
    if most_animals(frames) < 2 or not any(name for frame in frames for name in frame.tracks):
        return block
    from ethomorph.keypoints.pose.track_score import follow_stretches, swaps, track_scores

    followed = follow_stretches(rows, frames, tracking, films)
    if not followed:
        said = "the labels have tracks, but no two frames of this part follow each other: tracking is not scored"
        return block | {"warnings": [*block["warnings"], said]}
    metrics, counts = track_scores(followed)
    block["metrics"] |= {name: metric.to_dict() for name, metric in metrics.items()}
    block["counts"] |= {f"track_{name}": value for name, value in counts.items()} | {"swaps": len(swaps(followed))}
    return block


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Nested tables with the values of `over` in front."""
    found = {key: dict(value) if isinstance(value, dict) else value for key, value in base.items()}
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict)
        found[key] = merged(found[key], value) if both else value
    return found


def ended(run: Run) -> str:
    """How the training of a run ended, in a few words; empty where that is not known."""
    from ethomorph.training.evidence import Evidence

    try:
        evidence = Evidence.read(run.folder)
    except StudyError:
        return ""
    if not evidence.epochs:
        return ""
    best = f", best epoch {evidence.best_epoch}" if evidence.best_epoch else ""
    return f"training ended in epoch {evidence.epochs[-1].epoch}{best} ({evidence.stop or 'unfinished'})"


def predict_new(
    run: Run, section: TaskSection, inputs: list[str], *, out: Path, sheet: Path | None, distances: Path | None,
    skip_bad: bool, progress: bool,
) -> dict[str, Any]:  # fmt: skip
    """Predict videos or folders of pictures; see `ethomorph.keypoints.pose.predict`."""
    from ethomorph.keypoints.pose.predict import predict_videos

    if distances is not None:
        raise StudyError("poses have no named distances", fix="predict, then `ethomorph measure kinematics`")
    model = PoseEstimator.load(run.model, runtime=str(section.settings.get("runtime", "auto")))  # type: ignore[arg-type]
    tracking = Tracking.from_dict(dict(section.settings.get("tracking", {})))
    return predict_videos(model, inputs, out=out, sheet=sheet, tracking=tracking, skip_bad=skip_bad, progress=progress)


__all__ = ["TASK", "TEMPLATE", "Film", "PoseTask", "predict_new"]
