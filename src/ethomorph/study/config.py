"""study.toml: what a study is, checked before anything else happens.

An error names the file, the key, what was found and what would be right. Nothing here reads labels or images.
"""

from __future__ import annotations

import difflib
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from ethomorph.core.errors import StudyError

FILE_NAME = "study.toml"
Kind = Literal["landmarks", "pose", "segmentation", "behavior", "identity"]


class Section(BaseModel):
    """A table of study.toml: unknown keys are refused, so that a typing error never goes unnoticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StudySection(Section):
    """``[study]``"""

    name: str
    specimens: Path | None = Field(
        None, description="CSV: specimen, group, sex, age, site, date, observer, mm_per_px, ..."
    )


class SplitSection(Section):
    """``[split]``: which part each sample falls into."""

    by: str = Field("specimen", description="the unit of independence: specimen, or a column of the specimens table")
    test: float = Field(0.25, ge=0, lt=1)
    validation: float = Field(0.15, ge=0, lt=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def leave_something_to_train_on(self) -> Self:
        if self.test + self.validation >= 1:
            raise ValueError(f"test {self.test} and validation {self.validation} leave nothing to train on")
        return self


class GradesSection(Section):
    """``[task.NAME.grades]``: which grades may train; from a grading table, or the specimens' column ``grade``."""

    file: Path | None = Field(None, description="filename,grade,id")
    train: list[str] = Field(default_factory=lambda: ["good"], description="the grades that training takes")


class ScaleSection(Section):
    """``[task.NAME.scale]``: where millimetres come from; the files' own scale where left out."""

    landmarks: tuple[str, str] | None = Field(None, description="two landmarks whose distance is known")
    mm: float | None = Field(None, gt=0, description="that distance in mm")
    mm_per_px: float | None = Field(None, gt=0, description="one scale for every image")

    @model_validator(mode="after")
    def one_source(self) -> Self:
        if (self.landmarks is None) != (self.mm is None):
            raise ValueError("landmarks and mm belong together")
        if self.landmarks is not None and self.mm_per_px is not None:
            raise ValueError("give landmarks and mm, or mm_per_px, not both")
        return self


class TaskSection(Section):
    """``[task.NAME]``: one thing to learn."""

    kind: Kind
    labels: Path
    images: Path | None = None
    names: list[str] = Field(
        default_factory=list, description="the landmarks' names in order, where the label file has none"
    )
    method: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict, description="the method's own settings")
    enhancement: dict[str, Any] | str | None = Field(
        None, description="a preset's name or parameters; never touches files"
    )
    grades: GradesSection | None = None
    scale: ScaleSection | None = None
    repeat: Path | None = Field(None, description="a second coding of the same specimens, for human repeat error")
    distances: dict[str, tuple[str, str]] = Field(default_factory=dict, description="name = [landmark, landmark]")
    classes: dict[str, str | list[str] | dict[str, Any]] = Field(
        default_factory=dict, description="volumes: class = pattern of segment names, in the order of importance"
    )
    poses: Path | None = Field(None, description="behaviour: the pose file whose frames the labels score")
    fps: float | None = Field(None, gt=0, description="behaviour: frames a second, where the files do not say")
    column: str | None = Field(None, description="behaviour: the column (or BORIS observation) that holds the labels")
    ethogram: Path | None = Field(None, description="behaviour: what each code means, TOML, CSV or a BORIS project")
    blocks_s: float | None = Field(None, gt=0, description="behaviour: recordings are split in blocks so long")
    guard_s: float = Field(1.0, ge=0, description="behaviour: frames so near to a block of another part do not train")
    gaps: Literal["refuse", "missing"] = "refuse"
    max_minutes: float | None = Field(None, gt=0)

    @field_validator("distances", mode="before")
    @classmethod
    def pairs(cls, value: Any) -> Any:
        if isinstance(value, dict):
            for name, pair in value.items():
                if not isinstance(pair, (list, tuple)) or len(pair) != 2:
                    raise ValueError(f"{name} needs two landmark names, such as ['hip', 'knee']")
        return value


class SlurmSection(Section):
    """``[slurm]``: what a job on a cluster asks for; every key can be changed on the command line."""

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    cpus: int = Field(4, ge=1, description="cores for a task")
    gpus: int = Field(0, ge=0, description="GPUs for a task")
    memory_gb: float = Field(16, gt=0, description="memory for a task")
    nodes: int = Field(1, ge=1, description="machines that a training uses together")
    processes: int | None = Field(
        None, ge=1, description="processes of a training on each machine; as many as GPUs, at least one"
    )
    minutes: int = Field(240, ge=1, description="time limit of a task; a training asks to be queued again at its end")
    tasks: int = Field(16, ge=1, description="tasks of one array that run at the same time, at most")
    setup: list[str] = Field(default_factory=list, description="shell lines before the work, such as module loads")
    extra: dict[str, str] = Field(default_factory=dict, description="further sbatch options by their long names")

    @property
    def ranks_per_node(self) -> int:
        """Processes of a training on each machine: one a GPU, unless said otherwise."""
        return self.processes or max(1, self.gpus)

    @property
    def ranks(self) -> int:
        """Processes of a training in all."""
        return self.nodes * self.ranks_per_node


class StudyConfig(Section):
    """The whole of study.toml."""

    study: StudySection
    split: SplitSection = Field(default_factory=lambda: SplitSection.model_validate({}))
    task: dict[str, TaskSection] = Field(default_factory=dict)
    slurm: SlurmSection = Field(default_factory=lambda: SlurmSection.model_validate({}))

    @field_validator("task")
    @classmethod
    def names_that_make_folders(cls, value: dict[str, TaskSection]) -> dict[str, TaskSection]:
        for name in value:
            if not name or any(c in name for c in '/\\:*?"<>|') or name.startswith("."):
                raise ValueError(f"{name!r} cannot name a folder; use letters, digits, - and _")
        return value


class Study:
    """A study folder and its checked configuration.

    Parameters
    ----------
    folder : the folder that holds study.toml, or that file itself.

    Raises
    ------
    StudyError : no study.toml, not TOML, or a key that does not fit; names file, key, what was found, what is right.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        self.file = folder if folder.name == FILE_NAME else folder / FILE_NAME
        self.folder = self.file.parent
        self.config = _parse(self.file)

    def path(self, relative: Path) -> Path:
        """A path of study.toml, which is relative to the study folder, as one that can be opened."""
        return relative if relative.is_absolute() else self.folder / relative

    def existing(self, relative: Path, key: str) -> Path:
        """As `path`; raises StudyError naming `key` where nothing is there."""
        path = self.path(relative)
        if not path.exists():
            raise StudyError(
                f"{key}: {relative} does not exist", place=self.file, fix=f"correct the path, looked for {path}"
            )
        return path

    def task(self, name: str | None = None) -> tuple[str, TaskSection]:
        """The task of that name, or the only one. Raises StudyError naming the tasks there are."""
        tasks = self.config.task
        if not tasks:
            raise StudyError(
                "no [task.NAME] table", place=self.file, fix="describe one thing to learn, see `ethomorph new --help`"
            )
        if name is None:
            if len(tasks) > 1:
                raise StudyError(
                    f"{len(tasks)} tasks: {', '.join(tasks)}", place=self.file, fix="choose one with --task"
                )
            name = next(iter(tasks))
        if name not in tasks:
            raise StudyError(f"no task {name!r}", place=self.file, fix=f"choose one of: {', '.join(tasks)}")
        return name, tasks[name]


def _parse(file: Path) -> StudyConfig:
    if not file.is_file():
        raise StudyError(
            "no study.toml here",
            place=file.parent,
            fix="make a study with `ethomorph new DIR --kind KIND --labels FILE`",
        )
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise StudyError(f"not UTF-8 text (byte {error.start})", place=file, fix="save it as UTF-8") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise StudyError(f"not valid TOML: {error}", place=file, fix="correct that line") from None
    try:
        return StudyConfig.model_validate(document)
    except ValidationError as error:
        raise StudyError(explain(error, StudyConfig, document), place=file) from None


def explain(error: ValidationError, model: type[BaseModel], document: dict[str, Any]) -> str:
    """The first complaint of a pydantic error as one sentence: key, what was found, what would be right."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"]) or "the file"
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        name = str(first["loc"][-1])
        known = _fields_at(model, first["loc"][:-1])
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        return f"{key}: unknown key; {hint}{more}"
    if first["type"] == "missing":
        return f"{key}: missing; add it{more}"
    message = first["msg"].removeprefix("Value error, ")
    found = first.get("input")
    shown = f"found {found!r}; " if isinstance(found, (str, int, float, bool)) else ""
    return f"{key}: {shown}{message[:1].lower() + message[1:]}{more}"


def _fields_at(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        for candidate in _models_in(field.annotation):
            model = candidate
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]
