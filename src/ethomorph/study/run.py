"""A run folder: what a training leaves behind, by name, so that other programs can rely on it."""

from __future__ import annotations

import csv
import io
import json
import tomllib
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from ethomorph.core.errors import StudyError
from ethomorph.core.files import write_json, write_text
from ethomorph.study.config import Study

SAMPLE_COLUMNS = ("sample", "group", "part")


class Run:
    """Paths and files of one run, ``runs/<task>/<run>/``. Making the object touches nothing on disk."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.config_file = self.folder / "config.toml"
        self.split_file = self.folder / "split.csv"
        self.model = self.folder / "model"
        self.history_file = self.folder / "history.csv"
        self.health_file = self.folder / "health.json"
        self.scores_file = self.folder / "scores.json"
        self.provenance_file = self.folder / "provenance.json"
        self.report_file = self.folder / "report.html"

    @classmethod
    def new(cls, study: Study, task: str, name: str | None = None) -> Run:
        """The folder of a run to come: `name`, or the time, with a number behind it where that is taken."""
        parent = study.folder / "runs" / task
        if name is not None:
            if not name or Path(name).name != name or name.startswith("."):
                raise StudyError(f"{name!r} cannot name a run", fix="use letters, digits, - and _")
            return cls(parent / name)
        stamp = datetime.now().strftime("%Y-%m-%d_%H%M%S")
        taken = sum(1 for _ in parent.glob(f"{stamp}*")) if parent.exists() else 0
        return cls(parent / (f"{stamp}-{taken + 1}" if taken else stamp))

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """An existing run; a task's or a study's folder stands for its newest run.

        Raises
        ------
        StudyError : no run there.
        """
        folder = Path(folder)
        if (folder / "config.toml").is_file():
            return cls(folder)
        found = [*folder.glob("*/config.toml"), *folder.glob("runs/*/*/config.toml")] if folder.is_dir() else []
        if not found:
            raise StudyError(
                "no run here (config.toml is missing)", place=folder, fix="name a folder under runs/<task>/"
            )
        return cls(max(found, key=lambda file: file.stat().st_mtime).parent)

    @property
    def is_finished(self) -> bool:
        return self.scores_file.is_file()

    def config(self) -> dict[str, Any]:
        """config.toml as a dictionary; raises StudyError where it is missing or damaged."""
        try:
            return tomllib.loads(self.config_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StudyError("no config.toml", place=self.folder, fix="name a finished run") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise StudyError(f"damaged: {error}", place=self.config_file, fix="train again") from None

    def study(self) -> Study:
        """The study that the run belongs to, wherever the folder was moved to."""
        return Study(self.folder.parents[2])

    def write_config(self, config: dict[str, Any]) -> None:
        import tomli_w

        write_text(self.config_file, tomli_w.dumps(config))

    def write_split(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """`rows` are (sample, group, part)."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(SAMPLE_COLUMNS)
        writer.writerows(rows)
        write_text(self.split_file, text.getvalue())

    def read_split(self) -> dict[str, str]:
        """The part of each sample, by sample name; raises StudyError where split.csv is missing or damaged."""
        try:
            with self.split_file.open(newline="", encoding="utf-8") as stream:
                return {row["sample"]: row["part"] for row in csv.DictReader(stream)}
        except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
            raise StudyError(f"cannot be read ({error})", place=self.split_file, fix="train again") from None

    def write_json(self, name: str, value: Any) -> None:
        write_json(self.folder / name, value)

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; raises StudyError where it is missing or damaged."""
        try:
            return json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise StudyError(f"no {name}", place=self.folder, fix="let the training finish, with --resume") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise StudyError(f"damaged: {error}", place=self.folder / name, fix="train again") from None


def plain(value: Any) -> Any:
    """A configuration as TOML can hold it: paths as text, tuples as lists, None left out."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return str(value) if isinstance(value, Path) else value
