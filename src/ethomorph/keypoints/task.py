"""The landmarks of a study as a task: load, audit, fit, score and report, on the parts that a split made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.api import groups_of
from ethomorph.core.errors import LabelError, SplitError
from ethomorph.core.files import write_text
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.grades import join_grades, read_grades
from ethomorph.formats.registry import format_for_writing, read_landmarks, write_landmarks
from ethomorph.keypoints.chapters import landmark_chapters
from ethomorph.keypoints.estimator import LandmarkRegressor
from ethomorph.keypoints.pairing import pair_specimens
from ethomorph.keypoints.scale import Ruler, apply, find_scales
from ethomorph.keypoints.tree_record import record_trees
from ethomorph.study.config import ScaleSection, TaskSection
from ethomorph.study.predictor import Predictor
from ethomorph.study.provenance import Stopwatch
from ethomorph.study.run import Run, plain
from ethomorph.study.specimens import join_specimens, read_specimens
from ethomorph.study.task import PER_SAMPLE, Chapter, Task

PREDICTIONS = "predictions.tps"


class LandmarkTask(Task):
    """``kind = "landmarks"``.

    Attributes
    ----------
    landmarks : every labelled specimen, a sample each, in the order of `samples`.
    repeat : the second coding, where the study has one.
    """

    main_metric = "mean_error"

    def load(self) -> None:
        self.landmarks = self._read(self.section.labels, self.section.images)
        table = self.study.config.study.specimens
        if table is not None:
            path = self._input(table, "study.specimens")
            self.warnings += join_specimens(self.landmarks, read_specimens(path), place=path)
        if self.section.grades is not None and self.section.grades.file is not None:
            path = self._input(self.section.grades.file, f"task.{self.name}.grades.file")
            self.landmarks, joined = join_grades(self.landmarks, read_grades(path))
            self.warnings += joined.sentences()
        self.landmarks, said = with_scale(self.landmarks, self.section.scale)
        self.warnings += said
        self.repeat = self._read(self.section.repeat, self.section.images) if self.section.repeat else None
        self.samples = samples_table(self.landmarks, self.study.config.split.by)

    def resolved(self) -> dict[str, Any]:
        return plain(self._regressor(None).resolved())

    def refuse_unfit(self, parts: list[str]) -> None:
        self.landmarks.image_paths()
        if not len(self._trainable(parts, "train")):
            grades = self.section.grades
            why = (
                f"none of the training specimens is graded {' or '.join(grades.train)}"
                if grades
                else "no training specimens"
            )
            raise SplitError(why, place=self.study.file, fix="change [split] or the grades that may train")

    def audit(self, parts: list[str] | None, *, progress: bool) -> Any:
        from ethomorph.audit.run import run_audit

        samples = self.samples.assign(part=parts) if parts is not None else self.samples
        return run_audit(self.landmarks, samples=samples, images=True, progress=progress)

    def fit(self, parts: list[str], run: Run, *, max_minutes: float | None, resume: bool, progress: bool) -> None:
        train, validation = self._trainable(parts, "train"), self._trainable(parts, "validation")
        self.inputs += self.landmarks.image_paths()
        model = self._regressor(max_minutes)
        watch = Stopwatch()
        model.fit(
            train,
            validation=validation if len(validation) else None,
            folder=run.folder,
            resume=resume,
            progress=progress,
        )
        model.save(run.model)
        if model.method == "ert":
            record_trees(model, train, validation, run.folder, seconds=watch.seconds)

    def score(self, parts: list[str], run: Run, *, part: str, progress: bool) -> dict[str, Any]:
        truth = self._part(parts, part)
        model = LandmarkRegressor.load(run.model)
        predicted = model.predict(truth, progress=progress)
        write_landmarks(predicted, run.folder / PREDICTIONS)
        chosen = self.samples[[p == part for p in parts]]
        write_text(run.folder / PER_SAMPLE, per_sample(truth, predicted, chosen).to_csv(index=False))
        return self._scores(truth, predicted, self._part(parts, "train"), annotation_box=model.predict_in_boxes(truth))

    def score_other(self, run: Run, labels: Path, images: Path | None, *, progress: bool) -> dict[str, Any]:
        """Scores on other labelled data, against this run's own training part as baseline."""
        truth = self._read(labels.absolute(), images.absolute() if images else None)
        if truth.names != self.landmarks.names:
            raise LabelError(
                f"{len(truth.names)} landmarks ({', '.join(truth.names[:3])} ...) are not this run's "
                f"{len(self.landmarks.names)} ({', '.join(self.landmarks.names[:3])} ...)",
                place=labels,
                fix="bring both to the same names and order",
            )
        truth, _ = with_scale(truth, self.section.scale)
        part_of = run.read_split()
        train = self.landmarks.subset(i for i, s in enumerate(self.samples["sample"]) if part_of.get(s) == "train")
        predicted = LandmarkRegressor.load(run.model).predict(truth, progress=progress)
        groups = groups_of(truth, self.study.config.split.by)
        header = {
            "task": self.name,
            "kind": "landmarks",
            "part": "other",
            "samples": len(truth),
            "groups": len(set(groups)),
        }
        return header | self._scores(truth, predicted, train)

    def chapters(self, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
        truth = self._part(parts, "test")
        if not len(truth):
            return []
        predicted = read_landmarks(run.folder / PREDICTIONS, images=self._images_folder(), gaps="missing")
        predicted = predicted.renamed(truth.names)
        return landmark_chapters(truth, predicted, run.read_json("scores.json"), anatomy=self.anatomy, folder=folder)

    @property
    def anatomy(self) -> list[int]:
        """Indices of the landmarks that are the animal: all but the ends of a scale bar."""
        return [i for i, name in enumerate(self.landmarks.names) if name not in self.not_anatomy]

    @property
    def not_anatomy(self) -> tuple[str, ...]:
        """The ends of the scale bar, where the study names one."""
        return self.section.scale.landmarks or () if self.section.scale else ()

    def _scores(
        self, truth: LandmarkSet, predicted: LandmarkSet, train: LandmarkSet, annotation_box: LandmarkSet | None = None
    ) -> dict[str, Any]:
        from ethomorph.keypoints.score import score_landmarks

        groups = groups_of(truth, self.study.config.split.by)
        return score_landmarks(
            truth, predicted, groups=groups, training=train, repeat=self.repeat, annotation_box=annotation_box,
            anatomy=self.anatomy,
        )  # fmt: skip

    def _regressor(self, max_minutes: float | None) -> LandmarkRegressor:
        return LandmarkRegressor(
            method=self.section.method or "heatmap",  # type: ignore[arg-type]
            settings=self.section.settings or None,
            enhancement=self.section.enhancement,
            not_anatomy=self.not_anatomy,
            seed=self.study.config.split.seed,
            max_minutes=max_minutes,
        )

    def _part(self, parts: list[str], wanted: str) -> LandmarkSet:
        return self.landmarks.subset(i for i, part in enumerate(parts) if part == wanted)

    def _trainable(self, parts: list[str], wanted: str) -> LandmarkSet:
        """A part without the specimens whose grade may not train."""
        chosen = self._part(parts, wanted)
        if self.section.grades is None:
            return chosen
        allowed = set(self.section.grades.train)
        return chosen.where(lambda specimen: specimen.attributes.get("grade") in allowed)

    def _read(self, labels: Path, images: Path | None) -> LandmarkSet:
        path = self._input(labels, f"task.{self.name}.labels")
        folder = self.study.existing(images, f"task.{self.name}.images") if images else None
        found = read_landmarks(path, images=folder, gaps=self.section.gaps)
        self.warnings += found.notes
        return found.renamed(self.section.names) if self.section.names else found

    def _images_folder(self) -> Path | None:
        return self.study.path(self.section.images) if self.section.images else None

    def _input(self, relative: Path, key: str) -> Path:
        path = self.study.existing(relative, key)
        self.inputs.append(path)
        return path


TASK = LandmarkTask


def samples_table(landmarks: LandmarkSet, by: str) -> pd.DataFrame:
    """A row a specimen: a unique sample name, its group, and its attributes as columns."""
    names: dict[str, int] = {}
    rows = []
    for specimen, group in zip(landmarks, groups_of(landmarks, by), strict=True):
        name = specimen.image or specimen.id or "specimen"
        names[name] = names.get(name, 0) + 1
        sample = name if names[name] == 1 else f"{name}#{names[name]}"
        rows.append({**specimen.attributes, "sample": sample, "group": group})
    table = pd.DataFrame(rows)
    return table[["sample", "group", *(c for c in table.columns if c not in ("sample", "group"))]]


def per_sample(truth: LandmarkSet, predicted: LandmarkSet, samples: pd.DataFrame) -> pd.DataFrame:
    """A row a specimen: its mean error over landmarks, empty where it was missed."""
    found = pair_specimens(truth, predicted).predicted
    error = np.linalg.norm(found - truth.array(), axis=2)
    known = np.isfinite(error)
    mean = np.where(known, error, 0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
    return samples[["sample", "group"]].assign(mean_error_px=mean)


def with_scale(landmarks: LandmarkSet, section: ScaleSection | None) -> tuple[LandmarkSet, list[str]]:
    """The set with mm per px on each specimen, from study.toml, its table, a ruler or the files; and what was said."""
    given: float | dict[str, float] | None = section.mm_per_px if section else None
    ruler = Ruler(*section.landmarks, section.mm) if section and section.landmarks and section.mm else None
    if given is None and ruler is None:
        given = {
            s.image or s.id: number(s.attributes["mm_per_px"], s.label)
            for s in landmarks
            if "mm_per_px" in s.attributes
        }
    scales = find_scales(landmarks, given=given, ruler=ruler)
    return apply(landmarks, scales), scales.warnings


def number(text: str, place: str) -> float:
    """A cell as a number; raises LabelError where it is none."""
    try:
        return float(text.replace(",", "."))
    except ValueError:
        raise LabelError(f"mm_per_px is {text!r}", place=place, fix="write a number") from None


def predict_new(
    run: Run,
    section: TaskSection,
    inputs: list[str],
    *,
    out: Path,
    sheet: Path | None,
    distances: Path | None,
    skip_bad: bool,
    progress: bool,
) -> dict[str, Any]:
    """Predict pictures and write landmarks with scale, an overlay sheet and named distances as asked."""
    format_for_writing(out)
    model = LandmarkRegressor.load(run.model)
    predicted = model.predict(inputs, progress=progress, on_error="report" if skip_bad else "raise")
    notes = list(predicted.notes)
    predicted, said = with_scale(predicted, section.scale)
    notes += said
    if distances is not None:
        from ethomorph.shape.distances import landmark_distances

        if not section.distances:
            raise LabelError(
                "no named distances", place=run.study().file, fix=f"add [task.{run.config()['task']}.distances]"
            )
        table = landmark_distances(predicted, section.distances)
        write_text(distances, table.to_csv(index=False))
    notes += write_predictions(predicted, out, sheet)
    return told(predicted, out, notes, model.skipped_ if skip_bad else [])


def predict_by_dat(
    dat: Path, inputs: list[str], *, out: Path, sheet: Path | None, skip_bad: bool, progress: bool
) -> dict[str, Any]:
    """Predict pictures with a dlib shape predictor from elsewhere, such as ml-morph's ``predictor.dat``."""
    format_for_writing(out)
    model = LandmarkRegressor.from_dat(dat)
    predicted = model.predict(inputs, progress=progress, on_error="report" if skip_bad else "raise")
    notes = [*model.notes_, *predicted.notes, *write_predictions(predicted, out, sheet)]
    return told(predicted, out, notes, model.skipped_ if skip_bad else [])


def write_predictions(predicted: LandmarkSet, out: Path, sheet: Path | None) -> list[str]:
    """Write landmarks and their overlay sheet; returns what the format could not hold."""
    notes = write_landmarks(predicted, out)
    if sheet is not None:
        from ethomorph.keypoints.draw import draw_sheet

        draw_sheet(predicted, sheet)
    return notes


def told(predicted: LandmarkSet, out: Path, notes: list[str], skipped: list[str]) -> dict[str, Any]:
    """What a prediction reports of itself."""
    missing = sum(s.attributes.get("status") == "not found" for s in predicted)
    return {
        "out": str(out),
        "images": len(predicted.image_paths()),
        "found": len(predicted) - missing,
        "not_found": missing,
        "skipped": skipped,
        "notes": notes,
    }


def predictor(run: Run, section: TaskSection, out: Path) -> Predictor:
    """For predicting thousands of pictures, see `ethomorph.study.predictor`."""
    from ethomorph.keypoints.predictor import LandmarkPredictor

    return LandmarkPredictor(run, section, out)
