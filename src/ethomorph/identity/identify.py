"""From a table of measurements to a folder with individuals, tables and pictures: what ``ethomorph identify`` does.

The chain in the order it happens: read, learn, identify, score where truth is known, census, write. Each step is a
function of another module.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.files import write_json
from ethomorph.core.prints import PrintTable
from ethomorph.identity.census import take_census
from ethomorph.identity.classes import discriminate_classes
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.halves import identify_halves
from ethomorph.identity.impute import Imputer
from ethomorph.identity.result import Identification
from ethomorph.identity.score import score_identification
from ethomorph.identity.sizes import count_by_size, summary
from ethomorph.identity.table import read_prints
from ethomorph.identity.verdicts import Verdicts, read_verdicts
from ethomorph.identity.write import draw_all, write_csv, write_for_review, write_matches, write_tables


def identify(
    table_path: str | Path,
    *,
    out: str | Path,
    animal: str | None = None,
    trail: str | None = None,
    reference: str | Path | None = None,
    method: Literal["plda", "fit"] = "plda",
    species: str | None = None,
    in_sample: bool = False,
    imputation: Literal["forest", "mean"] = "forest",
    columns: dict[str, str] | None = None,
    missing_trail: Literal["drop", "single"] = "drop",
    unknown: float | None = 0.5,
    classes: Sequence[str] = ("sex",),
    hold_out: int = 0,
    seed: int = 0,
    pictures: bool = True,
    images: str | Path | None = None,
    verdicts: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """How many individuals left the prints of a table, and which trail is whose.

    What it learns from depends on what is known: the animals of `reference`; else the known animals of the table, which
    then identify its unknown trails; else, where all animals are known, each half of the animals identifies the other
    (and is scored); else the trails alone, as if each were an animal, with a warning.

    Parameters
    ----------
    table_path : CSV, TSV, semicolon table or Excel; one row a print.
    out : folder for ``identity.json``, ``assignments.csv``, ``pairs.csv``, ``distances.csv``, ``variables.csv``,
        ``census.csv``, ``capture_histories.csv``, ``matches.csv``, ``classes.csv``, ``hold_out.csv``, pictures, and
        for the review page ``tree.json`` and ``prints.csv``; made where it does not exist.
    animal, trail : column names, where the automatic choice is to be overruled.
    reference : a second table of known animals, measured alike.
    method : "plda" (two-covariance model, posterior over partitions) or "fit" (pairwise reference-centroid method).
    species : preset for "fit": tiger, puma, cheetah, panda, rhino.
    in_sample : for "fit": take the table itself as reference, as the original does. Labelled so; scores are too good.
    imputation : "forest" or "mean" for missing measurements.
    columns : further column names by role: sex, age, species, site, session, foot, substrate.
    missing_trail : prints without trail are left out, and counted ("drop"), or each a trail of its own ("single").
    unknown : chance beforehand that a trail is of none of the known animals, for ``matches.csv``; None for a closed
        set, in which every trail is one of them.
    classes : roles or columns to discriminate (sex, age, species ...), judged on animals left out one by one, and
        called for trails whose class is not known.
    hold_out : also count known animals that were held out, at several numbers of them, so many rounds each.
    seed : everything random follows from it.
    pictures : whether to draw.
    images : folder of the prints' pictures, by the names in the table's column ``image`` (or print, photo, file), for
        the review page.
    verdicts : a table of what a person said of pairs of trails, as the review page writes it; kept to.
    progress : called with (done, to do) of the hold-out rounds.

    Returns
    -------
    dict
        The content of ``identity.json``: ``individuals``, ``trails`` and, where the animals are known, ``pairs`` and
        ``adjusted_rand`` as metric blocks; further ``method``, ``learned_from``, ``warnings``, ``notes``, ``census``,
        ``discrimination``, ``hold_out``, ``files``.

    Raises
    ------
    InputError
        For tables that cannot be read or are too small, in one line.
    """
    given: dict[str, Any] = {**(columns or {}), "classes": list(classes)}
    library = None if reference is None else read_prints(reference, animal=animal, **given)
    needed = [] if library is None else library.variables
    table = read_prints(table_path, animal=animal, trail=trail, missing_trail=missing_trail, needed=needed, **given)

    def make() -> Identifier:
        return Identifier(method=method, species=species, imputation=imputation, seed=seed)

    said = read_verdicts(verdicts) if verdicts is not None else Verdicts()
    found, survey, model, learned_from = _run(table, library, make, in_sample, said)
    folder = Path(out)
    notes = table.notes + ([] if library is None else library.notes)
    result = write_identification(
        found, survey, folder, model=model, learned_from=learned_from, unknown=unknown, notes=notes, pictures=pictures,
        images=images, verdicts=len(said),
    )  # fmt: skip
    files = result["files"]
    discrimination, called = discriminate_classes(library or table, survey, classes, seed=seed)
    if discrimination:
        result["discrimination"] = discrimination
    if called:
        files.append(write_csv(called, folder / "classes.csv").name)
    if hold_out:
        rows = count_by_size(library or table, make, rounds=hold_out, seed=seed, progress=progress)
        result["hold_out"] = summary(rows)
        files.append(write_csv(rows, folder / "hold_out.csv").name)
        if pictures:
            from ethomorph.identity.draw import draw_sizes

            files.append(draw_sizes(rows, folder / "hold_out.png").name)
    files.sort()
    write_json(folder / "identity.json", result)
    return result


def write_identification(
    found: Identification,
    survey: PrintTable,
    folder: Path,
    *,
    model: Identifier | None,
    learned_from: str,
    unknown: float | None = 0.5,
    notes: Sequence[str] = (),
    pictures: bool = True,
    images: str | Path | None = None,
    verdicts: int = 0,
) -> dict[str, Any]:
    """Score where the animals are known, take the census, write tables, pictures and ``identity.json``; its content."""
    result: dict[str, Any] = {
        "method": found.method,
        "in_sample": found.in_sample,
        "learned_from": learned_from,
        "individuals": found.individuals.to_dict(),
        "trails": found.assignments(),
        "verdicts": verdicts,
    }
    if survey.known.all():
        result |= score_identification(found, survey.of_trails(survey.animal))
    census = take_census(found, survey)
    files = write_tables(found, survey, census, folder) + write_for_review(found, survey, folder, images)
    if model is not None and model.method == "plda" and learned_from != TRAILS_ALONE:
        files.append(write_matches(model, survey, folder, unknown=unknown))
    if pictures:
        files += draw_all(found, survey, _completed(survey, model), folder)
    result |= {
        "census": census.rows(),
        "variables_used": int((found.usage > 0).sum()),
        "warnings": found.warnings,
        "notes": [*survey.notes, *(note for note in notes if note not in survey.notes)],
        "files": sorted(path.name for path in files),
    }
    write_json(folder / "identity.json", result)
    return result


TRAILS_ALONE = "trails of the table"


def _completed(survey: PrintTable, model: Identifier | None) -> np.ndarray:
    """The survey's measurements without gaps, for drawing."""
    if np.isfinite(survey.values).all():
        return survey.values
    if model is not None:
        return model.imputer_.transform(survey.with_variables(model.variables_).values)
    return Imputer(method="mean").fit(survey.values).reference_


def _run(
    table: PrintTable, library: PrintTable | None, make: Any, in_sample: bool, verdicts: Verdicts
) -> tuple[Identification, PrintTable, Identifier | None, str]:
    """The identification, the trails it is of, the model (None where there were two) and what was learned from."""
    if verdicts and (in_sample or (library is None and table.known.all())):
        raise LabelError("verdicts are for trails whose animals are not known", place=verdicts.source)
    if in_sample:
        if make().method != "fit":
            raise LabelError("learning from the trails to be identified is for method 'fit'", fix="add --method fit")
        named = replace(table, animal=np.where(table.known, table.animal, table.trail))
        return make().fit(named).predict(table), table, None, "the table itself (in-sample)"
    if library is not None:
        model = make().fit(library)
        return model.predict(table, verdicts=verdicts), table, model, "reference table"
    if table.known.all():
        return identify_halves(table, make), table, None, "the other half of the animals"
    if table.known.any():
        model, survey = make().fit(table), table.where(~table.known)
        return model.predict(survey, verdicts=verdicts), survey, model, "known animals of the table"
    model = make().fit(replace(table, animal=table.trail))
    # every trail was taken for an animal, so nothing was learned of trails of one animal, and no trail is held out
    found = model.predict(replace(table, animal=np.full(len(table), "")), verdicts=verdicts)
    found.warnings = [w for w in found.warnings if "reference" not in w]
    found.warnings.insert(
        0, "no known animals: learned from the trails alone, as if each were an animal; a rough count"
    )
    return found, table, model, TRAILS_ALONE
