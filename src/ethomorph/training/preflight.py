"""Checks of data before or beside a training, for any task: files, clips, augmentation, parts, tables of answers.

Each function looks at plain things and returns facts, a dictionary that goes into `Evidence.facts`: a data set's or a
module's ``facts`` carry them into the run's health, `judge` judges them at once. The rules say what is wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from statistics import median
from typing import Any

import numpy as np

from ethomorph.training.evidence import Evidence
from ethomorph.training.health import Health, diagnose

STUB_PREFIXES = ("._", "~$", ".")
STUB_SHARE = 0.01  # of the median size, under which a file holds nothing
OVERLAY_WORDS = ("manuallabel", "overlay", "labeled", "labelled", "annotated")


def judge(*facts: Mapping[str, Any]) -> Health:
    """What the rules say about facts alone.

    Examples
    --------
    >>> [finding.severity for finding in judge(clip_reading(range(10), 120)).findings]
    ['sick']
    """
    together: dict[str, Any] = {}
    for one in facts:
        together |= one
    return diagnose(Evidence(facts=together, validation_samples=1))


def match_files(
    wanted: Sequence[str], files: Iterable[str | Path], *, sizes: Mapping[str, int] | None = None, whole: bool = True
) -> dict[str, Any]:
    """How label rows and files find each other.

    Parameters
    ----------
    wanted : the name of each label row's file, without folder; a suffix may be missing.
    files : what is on disk.
    sizes : bytes by path; read from disk where left out and the file is there.
    whole : match whole names (or stems); False matches any file that has the name in it, as careless scripts do, to see
        what that would have done.

    Examples
    --------
    >>> found = match_files(["a1", "a2"], ["a1.mp4", "._a1.mp4"], sizes={"a1.mp4": 9000, "._a1.mp4": 4}, whole=False)
    >>> found["files"]["unmatched"], found["files"]["twice"], found["files"]["stubs"]
    (1, 1, 1)
    """
    paths = [str(path) for path in files]
    sizes = dict(sizes) if sizes is not None else {path: Path(path).stat().st_size for path in paths}
    usual = median(sizes.values()) if sizes else 0
    stubs = [path for path in paths if is_stub(path, sizes.get(path, int(usual)), usual)]
    overlays = [path for path in paths if is_overlay(path, wanted)]
    by_name: dict[str, list[str]] = {}
    for path in paths:
        for name in {PurePath(path).name, PurePath(path).stem}:
            by_name.setdefault(name, []).append(path)
    lost, twice = [], []
    for name in wanted:
        hits = by_name.get(name, []) if whole else [path for path in paths if name in PurePath(path).name]
        if not hits:
            lost.append(name)
        elif len(hits) > 1:
            twice.append(f"{name}: {', '.join(PurePath(hit).name for hit in hits[:3])}")
    lists = {"unmatched": lost, "twice": twice, "stubs": stubs, "overlays": overlays}
    counts = {key: len(found) for key, found in lists.items()}
    examples = {key: PurePath(found[0]).name for key, found in lists.items() if found}
    return {"files": {"wanted": len(wanted), **counts, "examples": examples}}


def is_stub(path: str, size: int, usual: float) -> bool:
    """Whether a file is one of the operating system's, or far too small to hold what the others do."""
    return PurePath(path).name.startswith(STUB_PREFIXES) or size < max(1, STUB_SHARE * usual)


def is_overlay(path: str, wanted: Sequence[str]) -> bool:
    """Whether a file's name says that labels are drawn into it, and no label row asks for it by name."""
    name = PurePath(path).stem
    return any(word in name.lower().replace("_", "") for word in OVERLAY_WORDS) and name not in wanted


def clip_reading(frames_read: Iterable[int], frames: int) -> dict[str, Any]:
    """Which part of a clip of `frames` frames is read; frames count from 0.

    Examples
    --------
    >>> clip_reading(range(0, 120, 8), 120)["clips"]["span"]
    1.0
    """
    read = sorted(frames_read)
    if not read or frames < 1:
        return {"clips": {"frames": frames, "first": -1, "last": -1, "span": 0.0, "middle_inside": False}}
    # a frame stands for the stretch between its neighbours
    step = (read[-1] - read[0]) / (len(read) - 1) if len(read) > 1 else 1.0
    inside = read[0] - step / 2 <= (frames - 1) / 2 <= read[-1] + step / 2
    span = min(1.0, (read[-1] - read[0] + step) / frames)
    return {"clips": {"frames": frames, "first": read[0], "last": read[-1], "span": span, "middle_inside": inside}}


def still_clip(
    augment: Callable[[np.ndarray], Any], *, frames: int = 8, side: int = 32, seed: int = 0
) -> dict[str, Any]:
    """How much a clip that stands still moves when augmented.

    Parameters
    ----------
    augment : from a clip (frames, y, x, 1) in 0..1 to one of the same kind, any size.

    Examples
    --------
    >>> still_clip(lambda clip: clip[:, ::-1])
    {'still_clip_motion': 0.0}
    """
    rng = np.random.default_rng(seed)
    frame = np.kron(rng.random((8, 8)), np.ones((side // 8, side // 8))).astype(np.float32)
    out = np.asarray(augment(np.repeat(frame[None, ..., None], frames, axis=0)), dtype=float)
    spread = float(out.max() - out.min()) or 1.0
    return {"still_clip_motion": float(np.abs(np.diff(out, axis=0)).mean()) / spread if len(out) > 1 else 0.0}


def parts(of_part: Mapping[str, Sequence[Any]], groups: Mapping[str, Sequence[Any]] | None = None) -> dict[str, Any]:
    """What the parts of a split share.

    Parameters
    ----------
    of_part : part to its samples' names.
    groups : part to its samples' groups.

    Examples
    --------
    >>> parts({"train": ["a", "b"], "test": []})["parts"]["empty"]
    ['test']
    """
    return {
        "parts": {
            "empty": [part for part, samples in of_part.items() if not len(samples)],
            "shared_samples": shared(of_part),
            "shared_groups": shared(groups) if groups else 0,
        }
    }


def shared(of_part: Mapping[str, Sequence[Any]]) -> int:
    """Names that stand in more than one part."""
    return sum(count > 1 for count in Counter(name for names in of_part.values() for name in set(names)).values())


def numbers_as_text(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Columns of numbers that are kept as text, and in how many rows the largest of them is another one as text.

    Examples
    --------
    >>> numbers_as_text([{"dig": "9.5", "feed": "10.2"}])["text_numbers"]["wrong"]
    1
    """
    columns = [key for key in (rows[0] if rows else {}) if all(is_number_text(row.get(key)) for row in rows)]
    if not columns:
        return {}
    wrong = 0
    for row in rows:
        texts = {column: str(row[column]) for column in columns}
        wrong += max(texts, key=lambda c: texts[c]) != max(texts, key=lambda c: float(texts[c]))
    return {"text_numbers": {"columns": columns, "wrong": wrong, "rows": len(rows)}}


def is_number_text(value: Any) -> bool:
    """Whether `value` is text that says a number."""
    try:
        return isinstance(value, str) and np.isfinite(float(value))
    except ValueError:
        return False


def answers(written: Sequence[Any], labels: Iterable[Any]) -> dict[str, Any]:
    """Whether written answers (one a sample) depend on anything; `labels` are those there are.

    Examples
    --------
    >>> answers(["c"] * 40, "cfpt")["answers"]["top_share"]
    1.0
    """
    if not len(written):
        return {}
    top, count = Counter(written).most_common(1)[0]
    share = count / len(written)
    return {"answers": {"top": str(top), "top_share": share, "rows": len(written), "labels": len(set(labels))}}
