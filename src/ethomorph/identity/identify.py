"""From a table of measurements to a folder with individuals, tables and pictures: what ``ethomorph identify`` does.

The chain in the order it happens: read, learn, identify, score where truth is known, census, write. Each step is a
function of another module.
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.files import write_json, write_text
from ethomorph.core.prints import PrintTable
from ethomorph.identity.census import Census, take_census, write_histories
from ethomorph.identity.discriminate import discriminate
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.fit import canonical_pair
from ethomorph.identity.halves import identify_halves
from ethomorph.identity.match import match
from ethomorph.identity.result import Identification
from ethomorph.identity.score import score_identification
from ethomorph.identity.table import read_table


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
    columns: dict[str, Any] | None = None,
    seed: int = 0,
    pictures: bool = True,
) -> dict[str, Any]:
    """How many individuals left the prints of a table, and which trail is whose.

    What it learns from depends on what is known: the animals of `reference`; else the known animals of the table, which
    then identify its unknown trails; else, where all animals are known, each half of the animals identifies the other
    (and is scored); else the trails alone, as if each were an animal, with a warning.

    Parameters
    ----------
    table_path : CSV, TSV, semicolon table or Excel; one row a print.
    out : folder for ``identity.json``, ``assignments.csv``, ``pairs.csv``, ``distances.csv``, ``variables.csv``,
        ``census.csv``, ``capture_histories.csv``, ``matches.csv`` and pictures; made where it does not exist.
    animal, trail : column names, where the automatic choice is to be overruled.
    reference : a second table of known animals, measured alike.
    method : "plda" (two-covariance model, posterior over partitions) or "fit" (pairwise reference-centroid method).
    species : preset for "fit": tiger, puma, cheetah, panda, rhino.
    in_sample : for "fit": take the table itself as reference, as the original does. Labelled so; scores are too good.
    imputation : "forest" or "mean" for missing measurements.
    columns : further column names by role: sex, site, session, foot.
    seed : everything random follows from it.
    pictures : whether to draw.

    Returns
    -------
    dict
        The content of ``identity.json``: ``individuals``, ``trails`` and, where the animals are known, ``pairs`` and
        ``adjusted_rand`` as metric blocks; further ``method``, ``learned_from``, ``warnings``, ``notes``, ``census``,
        ``files``.

    Raises
    ------
    InputError
        For tables that cannot be read or are too small, in one line.
    """
    table = read_table(table_path, animal=animal, trail=trail, **(columns or {}))
    library = None if reference is None else read_table(reference, animal=animal, **(columns or {}))

    def make() -> Identifier:
        return Identifier(method=method, species=species, imputation=imputation, seed=seed)

    found, survey, model, learned_from = _run(table, library, make, in_sample)
    folder = Path(out)
    result: dict[str, Any] = {
        "method": found.method,
        "in_sample": found.in_sample,
        "learned_from": learned_from,
        "individuals": found.individuals.to_dict(),
        "trails": found.assignments(),
    }
    if survey.known.all():
        result |= score_identification(found, survey.of_trails(survey.animal))
    census = take_census(found, survey)
    result |= {
        "census": census.rows(),
        "variables_used": int((found.usage > 0).sum()),
        "warnings": found.warnings,
        "notes": table.notes + ([] if library is None else library.notes),
    }
    if discrimination := _discrimination(library or table):
        result["discrimination"] = discrimination
    files = _write_tables(found, survey, census, folder)
    if model is not None and model.method == "plda" and learned_from != "trails of the table":
        files.append(_write_matches(model, survey, folder))
    if pictures:
        files += _draw(found, survey, folder)
    result["files"] = sorted(path.name for path in files)
    write_json(folder / "identity.json", result)
    return result


def _run(
    table: PrintTable, library: PrintTable | None, make: Any, in_sample: bool
) -> tuple[Identification, PrintTable, Identifier | None, str]:
    """The identification, the trails it is of, the model (None where there were two) and what was learned from."""
    if in_sample:
        if make().method != "fit":
            raise LabelError("learning from the trails to be identified is for method 'fit'", fix="add --method fit")
        named = replace(table, animal=np.where(table.known, table.animal, table.trail))
        return make().fit(named).predict(table), table, None, "the table itself (in-sample)"
    if library is not None:
        model = make().fit(library)
        return model.predict(table), table, model, "reference table"
    if table.known.all():
        return identify_halves(table, make), table, None, "the other half of the animals"
    if table.known.any():
        model, survey = make().fit(table), table.where(~table.known)
        return model.predict(survey), survey, model, "known animals of the table"
    model = make().fit(replace(table, animal=table.trail))
    # every trail was taken for an animal, so nothing was learned of trails of one animal, and no trail is held out
    found = model.predict(replace(table, animal=np.full(len(table), "")))
    found.warnings = [w for w in found.warnings if "reference" not in w]
    found.warnings.insert(
        0, "no known animals: learned from the trails alone, as if each were an animal; a rough count"
    )
    return found, table, model, "trails of the table"


def _discrimination(table: PrintTable) -> dict[str, Any]:
    """Sex by leave-one-animal-out where every print names it and the animals allow it."""
    sex = table.attributes.get("sex")
    if sex is None or not table.known.all() or (sex == "").any():
        return {}
    try:
        return {"sex": discriminate(table.values, sex, table.animal, table.trail, table.variables).to_dict()}
    except LabelError as error:
        return {"sex": {"value": None, "reason": error.what}}


def _write_tables(found: Identification, survey: PrintTable, census: Census, folder: Path) -> list[Path]:
    prints = np.bincount(survey.trail_codes)
    names = found.names
    rows = [{**row, "prints": int(prints[i])} for i, row in enumerate(found.assignments())]
    first, second = np.triu_indices(len(found.trails), 1)
    compared = np.isfinite(found.scores[first, second])
    truth = survey.of_trails(survey.animal) if survey.known.all() else None
    pairs = [
        {
            "trail_a": found.trails[a], "trail_b": found.trails[b], "log_likelihood_ratio": f"{found.scores[a, b]:.4f}",
            "called_same": int(found.scores[a, b] > 0),
            "one_individual": int(found.individual[a] == found.individual[b]),
            **({} if truth is None else {"truly_same": int(truth[a] == truth[b])}),
        }
        for a, b in zip(first[compared], second[compared], strict=True)
    ]  # fmt: skip
    matrix = [
        {
            "trail": name,
            **{other: "" if np.isnan(s) else f"{-s:.4f}" for other, s in zip(found.trails, row, strict=True)},
        }
        for name, row in zip(found.trails, found.scores, strict=True)
    ]
    usage = [{"variable": v, "weight": f"{u:.5f}"} for v, u in zip(found.variables, found.usage, strict=True)]
    usage.sort(key=lambda row: -float(row["weight"]))
    met = [
        {"individual": names[k], "site": site, "session": session, "trails": int(census.met[k, i, j])}
        for k in range(len(names)) for i, site in enumerate(census.sites) for j, session in enumerate(census.sessions)
        if census.met[k, i, j]
    ]  # fmt: skip
    return [
        _write_csv(rows, folder / "assignments.csv"),
        _write_csv(pairs, folder / "pairs.csv"),
        _write_csv(matrix, folder / "distances.csv"),
        _write_csv(usage, folder / "variables.csv"),
        _write_csv(met, folder / "census.csv"),
        write_histories(census, folder / "capture_histories.csv"),
    ]


def _write_matches(model: Identifier, survey: PrintTable, folder: Path) -> Path:
    rows = [
        {"trail": trail, "best": name, "probability": f"{chance:.4f}"}
        for trail, name, chance in match(model, survey).best()
    ]
    return _write_csv(rows, folder / "matches.csv")


def _draw(found: Identification, survey: PrintTable, folder: Path) -> list[Path]:
    from ethomorph.identity.draw import draw_count, draw_pair, draw_pairs, draw_tree

    files = [
        draw_tree(found, folder / "tree.png"),
        draw_pairs(found, folder / "pairs.png"),
        draw_count(found, folder / "count.png"),
    ]
    doubtful = _most_doubtful(found, survey)
    if doubtful is not None and np.isfinite(survey.values).all():
        pair = canonical_pair(survey.values, survey.trail, doubtful, survey.values)
        files.append(draw_pair(pair, doubtful, folder / "doubtful_pair.png"))
    return files


def _most_doubtful(found: Identification, survey: PrintTable) -> tuple[str, str] | None:
    """The pair of trails whose score is nearest to 0, both with enough prints for an ellipse."""
    enough = np.bincount(survey.trail_codes) >= 3
    score = np.where(enough[:, None] & enough & np.triu(np.isfinite(found.scores), 1), np.abs(found.scores), np.inf)
    a, b = np.unravel_index(int(score.argmin()), score.shape)
    return (found.trails[a], found.trails[b]) if np.isfinite(score[a, b]) else None


def _write_csv(rows: list[dict[str, Any]], path: Path) -> Path:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(rows[0]) if rows else ["empty"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return write_text(path, stream.getvalue())
