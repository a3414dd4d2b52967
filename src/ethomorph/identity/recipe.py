"""Recipes: which points of a print are placed, which follow from them, and what is measured, one TOML file a species.

Reads and checks recipes; `variables` carries them out. Another species is another file, not code.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ethomorph.core.errors import FormatError

POINT_RULES = {"midpoint": 2, "intersection": 4, "foot": 3, "centroid": None}
"""Derived points: between two, where the lines AB and CD cross, foot of A's perpendicular on BC, mean of several."""

MEASURES = {"length": 2, "angle": 3, "area": None, "ellipse": 4}
"""Of points: distance, angle ABC at the middle one, polygon in order (shoelace), ellipse on length AB and width CD."""

COMBINATIONS = {"ratio": 2, "sum": None}
"""Of variables named before: first over second, total."""


@dataclass(frozen=True)
class Step:
    """One derived point or variable: its name, the rule, and what it is made of."""

    name: str
    rule: str
    of: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """How a print becomes variables.

    Attributes
    ----------
    species, foot, unit : as the file says.
    placed : names of the landmarks.
    derived : points that follow, in an order in which each is made of earlier ones.
    variables : what is measured, likewise.
    left, right, up : points that fix the orientation: the line left-right becomes horizontal, `up` lies above it.
    """

    species: str
    foot: str
    unit: str
    placed: tuple[str, ...]
    derived: tuple[Step, ...]
    variables: tuple[Step, ...]
    left: str
    right: str
    up: str

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.variables]

    @property
    def columns(self) -> list[str]:
        """The variables' names with their unit, as a table's columns are called: ``length_toe_1_cm``."""
        unit = {"length": self.unit, "angle": "deg", "area": f"{self.unit}2", "ellipse": f"{self.unit}2", "ratio": ""}
        of: dict[str, str] = {}
        for step in self.variables:
            of[step.name] = of[step.of[0]] if step.rule == "sum" else unit[step.rule]
        return [f"{name}_{of[name]}" if of[name] else name for name in self.names]


def read_recipe(source: str | Path) -> Recipe:
    """A recipe by the name of a shipped one ("felid") or by path.

    A variable with several lists of points becomes several variables, numbered from 1.

    Raises
    ------
    FormatError
        Naming the key: unknown rule, unknown or repeated point, wrong number of points, a missing section.

    Examples
    --------
    >>> felid = read_recipe("felid")
    >>> len(felid.placed), len(felid.derived)
    (25, 15)
    """
    path = Path(source)
    if not path.suffix:
        shipped = resources.files("ethomorph.identity") / "recipes" / f"{source}.toml"
        if not shipped.is_file():
            known = sorted(p.name[:-5] for p in (resources.files("ethomorph.identity") / "recipes").iterdir())
            raise FormatError(f"no recipe {str(source)!r}", fix=f"shipped are {', '.join(known)}; or give a .toml file")
        text, place = shipped.read_text(encoding="utf-8"), f"recipe {source}"
    else:
        try:
            text, place = path.read_text(encoding="utf-8"), str(path)
        except (OSError, UnicodeDecodeError) as error:
            raise FormatError(f"cannot be read ({type(error).__name__})", place=path) from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise FormatError(f"not valid TOML ({error})", place=place) from None
    return _checked(data, place)


def _checked(data: dict[str, Any], place: str) -> Recipe:
    head, points, orientation = (_section(data, key, place) for key in ("recipe", "points", "orientation"))
    placed = points.get("placed")
    if not isinstance(placed, list) or not all(isinstance(p, str) for p in placed) or len(set(placed)) != len(placed):
        raise FormatError("points.placed is not a list of different names", place=place)
    known = set(placed)
    derived = _steps(points.get("derived", {}), POINT_RULES, known, f"{place}: points.derived", numbered=False)
    measured: set[str] = set()
    variables = _measures(_section(data, "variables", place), known, measured, f"{place}: variables")
    ends = [orientation.get(key) for key in ("left", "right", "up")]
    if any(end not in known for end in ends) or len(set(ends)) < 3:
        raise FormatError("orientation needs three different points as left, right and up", place=place)
    texts = [str(head.get(key, "")) for key in ("species", "foot", "unit")]
    return Recipe(texts[0], texts[1], texts[2] or "cm", tuple(placed), derived, variables, *[str(end) for end in ends])


def _section(data: dict[str, Any], key: str, place: str) -> dict[str, Any]:
    section = data.get(key)
    if not isinstance(section, dict) or not section:
        raise FormatError(f"no section [{key}]", place=place)
    return section


def _measures(section: dict[str, Any], points: set[str], measured: set[str], place: str) -> tuple[Step, ...]:
    steps: list[Step] = []
    for name, body in section.items():
        rule = next(iter(body), "") if isinstance(body, dict) else ""
        made_of, rules = (measured, COMBINATIONS) if rule in COMBINATIONS else (points, MEASURES)
        new = _steps({name: body}, rules, made_of, place, numbered=True)
        repeated = [step.name for step in new if step.name in measured]
        if repeated:
            raise FormatError(f"{repeated[0]!r} is defined twice", place=place)
        measured.update(step.name for step in new)
        steps += new
    return tuple(steps)


def _steps(
    section: dict[str, Any], rules: dict[str, int | None], known: set[str], place: str, *, numbered: bool
) -> tuple[Step, ...]:
    """Steps of one section; unless numbered, each new name may be used by the next."""
    steps = []
    for name, body in section.items():
        if not isinstance(body, dict) or len(body) != 1 or next(iter(body)) not in rules:
            raise FormatError(f"{name!r} needs one rule", place=place, fix=f"one of {', '.join(rules)}")
        rule, made_of = next(iter(body.items()))
        several = numbered and isinstance(made_of, list) and bool(made_of) and isinstance(made_of[0], list)
        for number, parts in enumerate(made_of if several else [made_of], 1):
            label = f"{name}_{number}" if several else name
            count = rules[rule]
            if not isinstance(parts, list) or (len(parts) != count if count else len(parts) < 2):
                raise FormatError(f"{label!r}: {rule} is made of {count or 'two or more'} names", place=place)
            unknown = [part for part in parts if part not in known]
            if unknown:
                raise FormatError(f"{label!r} uses {str(unknown[0])!r}, which is not defined before it", place=place)
            steps.append(Step(label, rule, tuple(parts)))
            if not numbered:
                if label in known:
                    raise FormatError(f"{label!r} is defined twice", place=place)
                known.add(label)
    return tuple(steps)
