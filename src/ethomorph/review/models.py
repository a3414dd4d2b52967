"""What the page and the server say to each other, typed; the OpenAPI document is made from these."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Key = Annotated[str, StringConstraints(min_length=8, max_length=100, pattern=r"^[A-Za-z0-9_.:-]+$")]
RoleName = Literal["look", "annotate", "manage"]


class Said(BaseModel):
    """A model that refuses what it does not know."""

    model_config = ConfigDict(extra="forbid")


class Problem(BaseModel):
    """Why a request was refused; `sign_in` says how to sign in where nobody is."""

    detail: str
    sign_in: Literal["token", "account"] | None = None
    current: dict[str, Any] | None = None


class SignInWanted(Said):
    token: Annotated[str, StringConstraints(max_length=200)] | None = None
    name: Annotated[str, StringConstraints(max_length=200)] | None = None
    password: Annotated[str, StringConstraints(max_length=1000)] | None = None


class TaskShown(BaseModel):
    name: str
    kind: str


class StudyShown(BaseModel):
    slug: str
    name: str
    role: RoleName
    tasks: list[TaskShown]
    run: str | None
    trains: bool = True


class SessionShown(BaseModel):
    person: str
    csrf: str
    how: Literal["token", "account"]
    version: str
    studies: list[StudyShown]


class QueueRow(BaseModel):
    item: str
    need: float
    reasons: list[str]
    grade: str | None
    status: str | None
    assigned: str | None
    group: str | None
    part: str | None
    edited: bool


class QueueShown(BaseModel):
    ready: bool
    items: list[QueueRow]
    scheme: dict[str, Any]
    edits: dict[str, int]


class FieldChange(Said):
    field: Annotated[str, StringConstraints(min_length=1, max_length=300)]
    value: Any = None
    base: int = Field(ge=0, description="the revision that the person saw; 0 for what the file says")


class EditWanted(Said):
    item: Name
    key: Key
    changes: list[FieldChange] = Field(min_length=1, max_length=500)


class TurnWanted(Said):
    """Undo or redo."""

    item: Name
    key: Key


class HeldValue(BaseModel):
    value: Any
    revision: int


class EditStored(BaseModel):
    """Sent only after the database has committed; `edit` is None where there was nothing to undo or redo."""

    edit: int | None
    item: str
    values: dict[str, HeldValue]


class ChangeShown(BaseModel):
    field: str
    before: Any
    after: Any


class LogEntry(BaseModel):
    id: int
    item: str
    person: str
    time: str
    kind: str
    target: int | None
    reverted: bool
    changes: list[ChangeShown]


class WriteBackShown(BaseModel):
    files: list[str]
    copies: list[str]
    notes: list[str]


class FormatShown(BaseModel):
    name: str
    title: str
    suffix: str


class PersonShown(BaseModel):
    name: str
    role: RoleName


class PersonWanted(Said):
    name: Name
    role: RoleName | None
    password: Annotated[str, StringConstraints(max_length=1000)] | None = None


class JobShown(BaseModel):
    name: str
    what: str
    state: Literal["running", "done", "failed", "stopped"]
    lines: list[str]
    run: str | None = None
