"""The audit of a behaviour task: what the checks of labelled classes need, gathered; and the audit's own pictures.

The cheap facts (labels, table) are always there. Features, learning curve and suspects need clips or poses, and are
left out, and said to be, where there are more samples than `MOST`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.audit.classes import ClassFacts
from ethomorph.audit.curve import Curve, learning_curve
from ethomorph.audit.datasheet import read_answers
from ethomorph.audit.pictures import perceptual_hash
from ethomorph.audit.run import Audit, run_audit
from ethomorph.audit.shortcut import Shortcut, measure_shortcut
from ethomorph.behavior.estimator import BehaviorClassifier
from ethomorph.behavior.linear import fit_linear
from ethomorph.core.errors import ImageError
from ethomorph.formats.cichlid import CLIP_SECONDS, parse_name

if TYPE_CHECKING:
    from ethomorph.behavior.task import BehaviorTask
    from ethomorph.study.task import Chapter

MOST = 4000
HASHED = (0.1, 0.5, 0.9)  # where in a clip frames are hashed
STRENGTH = 0.03


def audit_behavior(task: BehaviorTask, parts: list[str] | None, *, progress: bool) -> Audit:
    """Every check that fits, with ``metadata_only`` for audit.json."""
    from dataclasses import replace

    samples = task.samples.assign(part=parts) if parts is not None else task.samples
    facts = class_facts(task, progress=progress)
    shortcut = measure_shortcut(facts)
    given: dict[str, Any] = {"classes": facts, "shortcut": shortcut}
    if facts.features is not None:
        curve = learning_curve(facts, linear_codes, seed=facts.seed)
        if curve is not None:
            given["curve"] = curve
        if len(np.unique(facts.groups)) >= 3:
            given["grouped_probabilities"] = grouped_probabilities(facts)
    audit = run_audit(None, samples=samples, images=False, facts=given)
    findings = [*unreadable_told(facts.unreadable, len(task.samples)), *audit.findings]
    extras = {
        "metadata_only": shortcut.blocks,
        "majority": shortcut.majority,
        "classes": {name: int((facts.codes == i).sum()) for i, name in enumerate(facts.classes)},
    }
    if "curve" in given:
        extras["learning_curve"] = [vars(point) for point in given["curve"].points]

    def chapters(folder: Path) -> list[Chapter]:
        return audit_chapters(facts, shortcut, given.get("curve"), folder)

    return replace(audit, findings=findings, extras=extras, chapters=chapters)


def class_facts(task: BehaviorTask, *, progress: bool) -> ClassFacts:
    """Labels, table, and of clips that can be looked at features and hashes."""
    seed = task.study.config.split.seed
    table = task.samples
    if task.clips is None:
        return ClassFacts(table[table["label"] != ""].reset_index(drop=True), task.classes, seed=seed)
    clips = task.clips
    own = np.array([clip.group for clip in clips])
    animal = own if task.study.config.split.by == "sample" and all(own.tolist()) else None
    lengths = {round(c.stop_s - c.start_s, 3) for c in clips if c.stop_s is not None and c.start_s is not None}
    seconds = next(iter(lengths)) if len(lengths) == 1 else None
    if clips.clips and parse_name(clips[0].name):
        seconds = CLIP_SECONDS
    second = np.array([clip.attributes.get("second_label", "") for clip in clips])
    said = read_answers(task.study.folder)
    facts = ClassFacts(
        table, task.classes, animal=animal, seconds=seconds, second_labels=second, seed=seed, design=said
    )
    looked = clips.has_signals or all(clip.path is not None for clip in clips)
    if not looked or len(clips) > MOST:
        return facts
    chosen = {k: v for k, v in task.section.settings.items() if k in ("frames", "side_px", "colour")}
    model = BehaviorClassifier(settings=chosen | {"unreadable": "leave_out"}, cache=task.cache)
    try:
        return with_features(facts, model, task, progress)
    except ImageError:
        return facts


def with_features(facts: ClassFacts, model: BehaviorClassifier, task: BehaviorTask, progress: bool) -> ClassFacts:
    """The facts with features and hashes of the clips that can be read; rows of the others stay empty (NaN)."""
    clips = task.clips
    assert clips is not None
    model.classes_, model.skipped_, model.frames_ = task.classes, {}, False
    model.canvas_ = model._canvas(clips)
    kept, frames = model._decoded(clips, progress)
    rows = model._clip_rows(kept, frames, progress)
    place = {clip.name: i for i, clip in enumerate(clips)}
    where = np.array([place[clip.name] for clip in kept])
    features = np.full((len(clips), rows.shape[1]), np.nan, np.float32)
    features[where] = rows
    facts.features = features
    if frames is not None:
        hashes = np.zeros((len(clips), len(HASHED), 64), bool)
        for row, i in enumerate(where):
            clip = np.asarray(frames[row])
            for k, share in enumerate(HASHED):
                hashes[i, k] = perceptual_hash(clip[int(share * len(clip))].mean(-1))
        facts.hashes = hashes
    facts.unreadable = dict(model.skipped_)
    return facts


def linear_codes(train: np.ndarray, codes: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Quick predictions for the learning curve: the linear model at one strength."""
    model = fit_linear(train, codes, classes=int(codes.max()) + 1, strength=STRENGTH)
    return model.probabilities(test).argmax(1)


def grouped_probabilities(facts: ClassFacts) -> np.ndarray:
    """(n, classes) of the linear model, each animal (or fold of animals) predicted from the others."""
    from ethomorph.behavior.folds import grouped_folds

    assert facts.features is not None
    folds = grouped_folds(facts.groups.tolist(), 5, seed=facts.seed)
    found = np.zeros((len(facts), len(facts.classes)))
    for fold in np.unique(folds):
        train, test = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = fit_linear(facts.features[train], facts.codes[train], classes=len(facts.classes), strength=STRENGTH)
        found[test] = model.probabilities(facts.features[test])
    return found


def unreadable_told(bad: dict[str, str], number: int) -> list[Any]:
    """The finding of clips that cannot be read."""
    from ethomorph.audit.check import found
    from ethomorph.audit.data import listed

    if not bad:
        return []
    first = next(iter(bad.values()))
    return [
        found("unreadable_clips", "sick", f"{len(bad)} of {number} clips cannot be read: {listed(list(bad))}; {first}",
              causes=("cut off while copying", "stubs of the operating system"), remedy="copy or export them again")
    ]  # fmt: skip


def audit_chapters(facts: ClassFacts, shortcut: Shortcut, curve: Curve | None, folder: Path) -> list[Chapter]:
    """Pictures of the audit: who shows what, what the table gives away, and whether more animals help."""
    from ethomorph.behavior.draw_audit import draw_curve, draw_shortcut, draw_support
    from ethomorph.study.task import Chapter, Part

    parts = [
        Part(
            title="Who shows what", figure=draw_support(facts, folder / "support.png"),
            caption="Samples of each class in each animal; what only one animal shows cannot be told from that animal.",
        ),
        Part(
            title="What the table alone gives away", figure=draw_shortcut(shortcut, folder / "shortcut.png"),
            caption=f"Accuracy of a model that sees no pixel, only {', '.join(shortcut.columns) or 'nothing'}.",
        ),
    ]  # fmt: skip
    if curve is not None:
        parts.append(
            Part(
                title="Do more animals help", figure=draw_curve(curve, folder / "curve.png"),
                caption="A quick linear model on motion features, judged on animals held out; lines are the range of "
                "repeats, the open point is what a power law expects of twice as many animals.",
            )
        )  # fmt: skip
    return [Chapter("Classes", parts)]
