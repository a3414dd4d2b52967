"""Which column is what: finds the animal, trail, sex, site ... columns of a measurement table by their names.

It looks at names and at how many different values a column holds; it never guesses between two columns that disagree.
"""

from __future__ import annotations

import re

from ethomorph.core.errors import FormatError

SPECIES = "tiger|lion|puma|cougar|cheetah|leopard|jaguar|lynx|rhino|panda|bear|otter|fisher|marten|elephant|tapir|mouse"

# Names as people write them, reduced to lower-case words; the first pattern of a role that matches wins.
PATTERNS: dict[str, tuple[str, ...]] = {
    "animal": (
        r"animal|individual|animal id|individual id|animal name|known id",
        rf"({SPECIES})",
        rf".*\b({SPECIES})s?\b.*",
    ),
    "trail": (r"trail|trail id|trail name|trackway|track line|trailid", r"trail .*|.* trail"),
    "sex": (r"sex|gender",),
    "age": (r"age|age class|age years?",),
    "species": (r"species|taxon",),
    "site": (r"site|location|locality|place|study area|site id",),
    "session": (r"session|date|visit|occasion|survey|year|season",),
    "foot": (r"foot|side|paw|lrfh|limb|foot id",),
    "substrate": (r"substrate|surface|medium",),
    "quality": (r"quality|qual|grade",),
    "print": (r"print|print id|track|footprint|image|photo|picture|file|filename|file name",),
    "embedding": (r"embedding|embeddings|feature vector",),
}

ROLES = tuple(PATTERNS)
GIVEN = ("animal", "trail", "sex", "age", "species", "site", "session", "foot", "substrate")
"""Roles whose column a person can name."""


def words(name: str) -> str:
    """A column name in lower-case words: ``Trail-RCV`` becomes ``trail rcv``.

    Examples
    --------
    >>> words("Animal_ID")
    'animal id'
    """
    return re.sub(r"[^a-z0-9]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()).strip()


def roles_of(pairs: list[str]) -> dict[str, str]:
    """``role=NAME`` pairs as a dictionary.

    Raises
    ------
    FormatError
        For a pair without ``=``, or a role that is not one of those a column can be given for.

    Examples
    --------
    >>> roles_of(["site=Locality"])
    {'site': 'Locality'}
    """
    named: dict[str, str] = {}
    for pair in pairs:
        role, equals, name = pair.partition("=")
        if not equals or not name or role.strip() not in GIVEN:
            raise FormatError(f"--column {pair!r}: not role=NAME", fix=f"roles: {', '.join(GIVEN)}")
        named[role.strip()] = name
    return named


def find_columns(columns: dict[str, list[str]], given: dict[str, str], place: str) -> tuple[dict[str, str], list[str]]:
    """The column of each role, and one sentence for each choice between equals.

    Parameters
    ----------
    columns : column name to its cells as text ("" where empty).
    given : roles that the person named; these are taken as they are.
    place : the file, for messages.

    Raises
    ------
    FormatError
        Where a given column does not exist, or two equally good ones sort the rows differently.
    """
    found: dict[str, str] = {}
    notes: list[str] = []
    for role, name in given.items():
        if name not in columns:
            close = ", ".join(list(columns)[:12])
            raise FormatError(f"no column {name!r}", place=place, fix=f"name one of: {close}")
        found[role] = name
    for role, patterns in PATTERNS.items():
        if role in found:
            continue
        taken = set(found.values())
        for pattern in patterns:
            fitting = [name for name in columns if name not in taken and re.fullmatch(pattern, words(name))]
            varied = [name for name in fitting if len(set(columns[name]) - {""}) > 1] or fitting[:1]
            if not varied:
                continue
            found[role] = varied[0]
            rivals = [name for name in varied[1:] if not _same_sorting(columns[varied[0]], columns[name])]
            if rivals and role in ("animal", "trail"):
                raise FormatError(
                    f"columns {varied[0]!r} and {rivals[0]!r} could both name the {role}",
                    place=place,
                    fix=f"say which with --{role}",
                )
            if varied[1:]:
                notes.append(f"column {varied[0]!r} names the {role}; {', '.join(map(repr, varied[1:]))} left aside")
            break
    return found, notes


def _same_sorting(first: list[str], second: list[str]) -> bool:
    pairs = {(a.strip().casefold(), b.strip().casefold()) for a, b in zip(first, second, strict=True)}
    return len({a for a, _ in pairs}) == len(pairs) == len({b for _, b in pairs})
