"""Align many heads with the same options: each alone, so that one that cannot be told does not stop the others."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ethomorph.core.errors import InputError
from ethomorph.core.files import write_json, write_text
from ethomorph.study.predictor import Predictor

SEGMENTATIONS = (".seg.nrrd",)
LANDMARKS = (".mrk.json", ".fcsv")


class HeadAligner(Predictor):
    """Brings each scan into its own frame, with the segmentation and the landmarks that lie beside it by its name.

    Parameters
    ----------
    options : keyword arguments of `ethomorph.workflow.align.align`, but for those that belong to one head.
    out : folder; each head gets one of its own in it, by its name.
    """

    suffix = ".json"

    def __init__(self, options: dict[str, Any], out: Path) -> None:
        self.options, self.out = options, out

    def inputs(self, given: list[str]) -> list[Path]:
        found = scans(given)
        refuse_same_names(found)
        return found

    def predict(self, inputs: list[Path], parts: list[Path]) -> list[str | None]:
        from ethomorph.workflow.align import align

        said: list[str | None] = []
        for volume, part in zip(inputs, parts, strict=True):
            beside: dict[str, Any] = {
                "segmentation": companion(volume, SEGMENTATIONS),
                "landmarks": companion(volume, LANDMARKS),
            }
            try:
                record = align(volume, self.out / name_of(volume), **beside, **self.options)
            except InputError as error:
                said.append(str(error) if volume.name in str(error) else f"{volume}: {error}")
                continue
            if record["status"] == "refused":
                said.append(f"{volume}: refused: {record['reason']}")
                continue
            write_json(part, {"volume": str(volume), **{k: record[k] for k in ("method", "checks", "notes")}})
            said.append(None)
        return said

    def merge(self, parts: list[Path], out: Path) -> list[str]:
        """``heads.csv``: a row a head, with its method and every check."""
        import pandas as pd

        records = [json.loads(part.read_text(encoding="utf-8")) for part in parts]
        rows = [
            {"head": name_of(Path(one["volume"])), "method": one["method"]}
            | {f"{name}_{check['unit']}".rstrip("_"): check["value"] for name, check in one["checks"].items()}
            for one in records
        ]  # fmt: skip
        write_text(out / "heads.csv", pd.DataFrame(rows).to_csv(index=False))
        return [f"{len(rows)} heads in {out}, listed in heads.csv"]


def scans(given: list[str]) -> list[Path]:
    """The scans that files, folders and patterns stand for; raises LabelError where there is none."""
    from ethomorph.volumes.data import expand

    return [path for path in expand(given) if not path.name.endswith(SEGMENTATIONS)]


def name_of(volume: Path) -> str:
    """What a head's folder is called."""
    from ethomorph.volumes.data import plain_name

    return plain_name(volume)


def companion(volume: Path, suffixes: tuple[str, ...]) -> Path | None:
    """The file beside a volume that has its name and one of these endings."""
    candidates = [volume.with_name(name_of(volume) + suffix) for suffix in suffixes]
    return next((path for path in candidates if path.is_file()), None)


def refuse_same_names(volumes: list[Path]) -> None:
    """Refuse two volumes whose results would lie in one folder."""
    seen: dict[str, Path] = {}
    for path in volumes:
        if name_of(path) in seen:
            raise InputError(f"has the name of {seen[name_of(path)]}", place=path, fix="rename one")
        seen[name_of(path)] = path
