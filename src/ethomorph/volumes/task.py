"""The volumes of a study as a task: load, audit, fit, score and report, on the parts that a split made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ethomorph.core.errors import InputError, LabelError, SplitError, StudyError
from ethomorph.core.files import write_text
from ethomorph.formats.volumes import format_for_writing, format_of, read_labels, write_volume
from ethomorph.study.config import TaskSection
from ethomorph.study.run import Run, plain
from ethomorph.study.specimens import read_specimens, refuse_contradictions
from ethomorph.study.split import warn_if_by_sample
from ethomorph.study.task import PER_SAMPLE, Chapter, Task
from ethomorph.volumes.classes import ClassMap, Encoded, describe_matches
from ethomorph.volumes.data import Case, core_name, expand, find_cases, plain_name
from ethomorph.volumes.estimator import METHODS, VolumeSegmenter
from ethomorph.volumes.score import VolumeScore, per_instance, score_set, score_volume

PREDICTIONS, DISAGREEMENTS, THINGS = "predictions", "disagreement", "things.csv"
TEMPLATE = """\
[task.{task}]
kind = "segmentation"
labels = {labels}      # folder of segmentations: .seg.nrrd from 3D Slicer, or .nrrd, .nii.gz, .mha
{images}
method = "unet3d"      # unet3d, two-stage or mask2former
# max_minutes = 40     # stop training after so long

# [task.{task}.classes]              # class = pattern of segment names; every name is a class of its own where left out
# jaw = "LowerJaw*"
# tooth = {{ match = "Tooth*", instances = true }}     # every tooth is a thing of its own
# bone = ["OtherBone", "Skull*"]
# ignore = "Artefact*"                               # neither trains nor counts

# [task.{task}.settings]             # the method's own settings; the plan that follows from the data is in plan.toml
# spacing_mm = [0.02, 0.02, 0.02]
"""


class VolumeTask(Task):
    """``kind = "segmentation"``: ``labels`` and ``images`` are folders of volumes, paired by name.

    Attributes
    ----------
    cases : every labelled volume, a sample each, in the order of `samples`.
    classes : from ``[task.NAME.classes]``.
    """

    higher_is_better = True

    def load(self) -> None:
        if self.section.method not in (None, *METHODS):
            raise StudyError(f"task.{self.name}.method: found {self.section.method!r}", place=self.study.file,
                             fix=f"use one of {', '.join(METHODS)}")  # fmt: skip
        labels = self.study.existing(self.section.labels, f"task.{self.name}.labels")
        images = self.section.images
        folder = self.study.existing(images, f"task.{self.name}.images") if images else None
        self.cases = find_cases(labels, folder, place=self.study.file)
        self.inputs += [file for case in self.cases for file in case.files]
        names = {case.name: segment_names(case.labels) for case in self.cases if isinstance(case.labels, Path)}
        if self.section.classes:
            # by name: a run's copy of the settings may list them in another order, and a resumed run numbers them again
            table = dict(sorted(self.section.classes.items()))
            self.classes = ClassMap.of(table, place=f"{self.study.file}: task.{self.name}")
        else:
            self.classes = ClassMap.each_name(dict.fromkeys(n for found in names.values() for n in found))
            if not self.classes.classes:
                raise LabelError("no segment in any volume", place=labels, fix="segment something first")
            self.warnings.append(
                "no [classes]: every segment name is a class, and names that differ by a number are its things"
            )
        matched = {name: self.classes.matched(found, place=name) for name, found in names.items()}
        self.warnings += describe_matches(matched)
        things = [c.name for c in self.classes.learned if c.instances]
        self.main_metric = f"{things[0]}_pq" if things else "mean_dice"
        self.samples = self._samples_table()

    def resolved(self) -> dict[str, Any]:
        return plain(self._segmenter(None).resolved())

    def refuse_unfit(self, parts: list[str]) -> None:
        if "train" not in parts:
            raise SplitError("no training volumes", place=self.study.file, fix="change [split]")
        self._segmenter(None)

    def audit(self, parts: list[str] | None, *, progress: bool) -> Any:
        from ethomorph.audit.run import Audit, run_audit
        from ethomorph.training.health import RANK
        from ethomorph.volumes.audit import audit_volumes

        samples = self.samples.assign(part=parts) if parts is not None else self.samples
        audit = run_audit(None, samples=samples, images=False, progress=progress)
        findings = sorted([*audit_volumes(self.cases, self.classes), *audit.findings], key=lambda f: RANK[f.severity])
        return Audit(findings, audit.counts, audit.data)

    def fit(self, parts: list[str], run: Run, *, max_minutes: float | None, resume: bool, progress: bool) -> None:
        model = self._segmenter(max_minutes)
        model.fit(
            self._part(parts, "train"), validation=self._part(parts, "validation"), folder=run.folder, resume=resume,
            progress=progress,
        )  # fmt: skip
        model.save(run.model)

    def score(self, parts: list[str], run: Run, *, part: str, progress: bool) -> dict[str, Any]:
        cases = self._part(parts, part)
        chosen = self.samples[[p == part for p in parts]]
        groups = dict(zip(chosen["sample"], chosen["group"], strict=True))
        model = VolumeSegmenter.load(run.model)
        block, scores, things = self._scored(model, cases, groups, run.folder, progress=progress)
        rows = [self._sample_row(one) for one in scores]
        write_text(run.folder / PER_SAMPLE, pd.DataFrame(rows).to_csv(index=False))
        if things:
            write_text(run.folder / THINGS, pd.DataFrame(things).to_csv(index=False))
        return block

    def score_other(self, run: Run, labels: Path, images: Path | None, *, progress: bool) -> dict[str, Any]:
        """Scores on other labelled volumes; their segments are matched by this run's patterns."""
        cases = find_cases(labels.absolute(), images.absolute() if images else None)
        groups = {case.name: case.name for case in cases}
        block, _, _ = self._scored(VolumeSegmenter.load(run.model), cases, groups, None, progress=progress)
        header = {"task": self.name, "kind": "segmentation", "part": "other", "samples": len(cases)}
        return header | {"groups": len(cases)} | block

    def chapters(self, parts: list[str], run: Run, folder: Path) -> list[Chapter]:
        from ethomorph.volumes.chapters import plan_chapter, volume_chapters

        model = VolumeSegmenter.load(run.model)
        chapters: list[Chapter] = []
        if "test" in parts:
            things = pd.read_csv(run.folder / THINGS) if (run.folder / THINGS).is_file() else pd.DataFrame()
            samples = pd.read_csv(run.folder / PER_SAMPLE, dtype={"sample": str})
            chapters += volume_chapters(
                self._part(parts, "test"), run.folder / PREDICTIONS, things, samples, self.classes, folder
            )
        plan = getattr(model.model_, "plan_", None)
        return [*chapters, plan_chapter(plan, model.notes_)] if plan is not None else chapters

    def _scored(
        self, model: VolumeSegmenter, cases: list[Case], groups: dict[str, str], folder: Path | None, *, progress: bool
    ) -> tuple[dict[str, Any], list[VolumeScore], list[dict[str, Any]]]:
        """Predict and score volume by volume; predictions and disagreements go into `folder`."""
        from ethomorph.volumes.draw import disagreement

        scores, trivial, things = [], [], []
        for case in cases:
            image = case.read_image()
            truth = self.classes.encode(case.read_labels(image))
            found = model.predict_case(case, progress=progress)
            predicted = self.classes.encode_prediction(found)
            if folder is not None:
                write_volume(found, folder / PREDICTIONS / f"{case.name}.seg.nrrd")
                wrong = disagreement(truth, predicted, self.classes, image.grid)
                write_volume(wrong, folder / DISAGREEMENTS / f"{case.name}.seg.nrrd")
            group = groups[case.name]
            scores.append(score_volume(case.name, group, truth, predicted, self.classes, image.grid))
            by_intensity = intensity_only(model.baseline(image), self.classes)
            trivial.append(
                score_volume(case.name, group, truth, by_intensity, self.classes, image.grid, surfaces=False)
            )
            things += [{"sample": case.name, "group": group, **row}
                       for row in per_instance(truth, predicted, self.classes, image.grid)]  # fmt: skip
        seed = self.study.config.split.seed
        block = score_set(scores, self.classes, seed=seed)
        baseline = score_set(trivial, self.classes, seed=seed)["metrics"]
        kept = {n: m for n, m in baseline.items() if not n.endswith(("_nsd_1_voxel", "_hd95", "_assd"))}
        block["baselines"] = {"intensity_only": kept}
        block["warnings"] = [*block["warnings"], *model.notes_]
        return block, scores, things

    def _sample_row(self, score: VolumeScore) -> dict[str, Any]:
        row: dict[str, Any] = {"sample": score.name, "group": score.group}
        for name, found in score.things.items():
            from ethomorph.volumes.panoptic import panoptic_quality

            quality = panoptic_quality(np.array([found.sums]))
            row |= {f"{name}_pq": quality if quality == quality else None, f"{name}_true": found.truth,
                    f"{name}_predicted": found.predicted}  # fmt: skip
        row["mean_dice"] = score.mean_dice
        return row | {f"{name}_dice": one.dice for name, one in score.classes.items()}

    def _segmenter(self, max_minutes: float | None) -> VolumeSegmenter:
        try:
            return VolumeSegmenter(
                method=self.section.method or "unet3d",  # type: ignore[arg-type]
                classes=self.classes,
                settings=dict(self.section.settings),
                seed=self.study.config.split.seed,
                max_minutes=max_minutes,
            )
        except StudyError:
            raise
        except InputError as error:
            place = f"{self.study.file}: task.{self.name}.{error.place}"
            raise StudyError(error.what, place=place, fix=error.fix) from None

    def _part(self, parts: list[str], wanted: str) -> list[Case]:
        return [case for case, part in zip(self.cases, parts, strict=True) if part == wanted]

    def _samples_table(self) -> pd.DataFrame:
        """A row a volume: sample, group, and what the specimens table says of it."""
        by = self.study.config.split.by
        warn_if_by_sample(by)
        table = pd.DataFrame({"sample": [case.name for case in self.cases]})
        given = self.study.config.study.specimens
        if given is None:
            if by not in ("specimen", "sample"):
                raise StudyError(f"split.by: {by!r} needs a specimens table", place=self.study.file,
                                 fix="add study.specimens with that column")  # fmt: skip
            return table.assign(group=table["sample"])
        path = self.study.existing(given, "study.specimens")
        self.inputs.append(path)
        known = read_specimens(path)
        key = "image" if "image" in known.columns else "specimen"
        refuse_contradictions(known, key, path)
        known = known.dropna(subset=[key]).drop_duplicates(key)
        known["_core"] = [core_name(Path(str(v))) for v in known[key]]
        joined = table.assign(_core=[core_name(Path(s)) for s in table["sample"]]).merge(known, on="_core", how="left")
        joined = joined.drop(columns=["_core"])
        if joined[key].isna().all():
            raise StudyError(f"no row's {key} fits any volume, such as {table['sample'][0]!r}", place=path,
                             fix="write it as the volume's file is called")  # fmt: skip
        missing = joined.loc[joined[key].isna(), "sample"].tolist()
        if missing:
            self.warnings.append(f"{len(missing)} volume(s) without a row: {', '.join(missing[:8])}")
        if by not in ("sample", *joined.columns):
            raise StudyError(f"no column {by!r}", place=path, fix="correct split.by or add the column")
        group = joined["sample"] if by == "sample" else joined[by].fillna(joined["sample"])
        unknown = joined.loc[joined[by].isna(), "sample"].tolist() if by not in ("sample", "specimen") else []
        if unknown:
            raise SplitError(f"{len(unknown)} volume(s) have no {by!r}, such as {unknown[0]}", place=path,
                             fix=f"fill the column {by!r}, or split by specimen")  # fmt: skip
        rest = [c for c in joined.columns if c not in ("sample", "group")]
        return joined.assign(group=group.astype(str))[["sample", "group", *rest]]


TASK = VolumeTask


def intensity_only(classes_found: np.ndarray, classes: ClassMap) -> Encoded:
    """What intensity alone gives: things are connected components."""
    from scipy import ndimage

    instances = np.zeros(classes_found.shape, np.uint16)
    if classes.things:
        found, count = ndimage.label(np.isin(classes_found, classes.things), np.ones((3, 3, 3)))
        if count < 2**16:
            instances = found.astype(np.uint16)
    return Encoded(classes_found, instances)


def segment_names(path: Path) -> list[str]:
    """Names of a file's segments, from the header alone where it has them."""
    from ethomorph.formats.nrrd import parse_header
    from ethomorph.formats.seg_nrrd import segments_of

    found = format_of(path)
    if found is not None and found.name == "seg.nrrd":
        fields, pairs, _ = parse_header(path)
        return [s.name for s in segments_of(pairs, layered=fields.get("dimension") == "4", path=path, notes=[])]
    return read_labels(path).names


def predict_new(
    run: Run, section: TaskSection, inputs: list[str], *, out: Path, sheet: Path | None, distances: Path | None,
    skip_bad: bool, progress: bool,
) -> dict[str, Any]:  # fmt: skip
    """Segment volumes; `out` is a file for one volume, else a folder of .seg.nrrd."""
    if sheet is not None or distances is not None:
        raise InputError("--sheet and --distances are for landmarks", fix="leave them out")
    paths = expand(inputs)
    into_folder = not out.suffix
    if not into_folder:
        if len(paths) > 1:
            raise InputError(f"{len(paths)} volumes cannot go into one file", place=out, fix="name a folder with --out")
        if format_for_writing(out).write_labels is None:
            raise InputError("holds no segmentation", place=out, fix="name it .seg.nrrd or .nii.gz")
    model = VolumeSegmenter.load(run.model)
    notes: list[str] = []
    skipped: list[str] = []
    segments = 0
    for path in paths:
        try:
            found = model.predict_case(Case(plain_name(path), path), progress=progress)
        except InputError as error:
            if not skip_bad:
                raise
            skipped.append(str(error))
            continue
        target = out / f"{plain_name(path)}.seg.nrrd" if into_folder else out
        notes += [f"{path.name}: {note}" for note in (*found.notes, *write_volume(found, target))]
        segments += len(found.segments)
    notes += [f"left out: {line}" for line in skipped]
    done = len(paths) - len(skipped)
    return {
        "out": str(out), "images": done, "found": segments, "not_found": 0, "skipped": skipped, "notes": notes,
        "summary": f"{done} volume(s), {segments} segment(s)",
    }  # fmt: skip
