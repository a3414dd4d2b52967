"""``ethomorph identify``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ethomorph.cli.output import Json, print_json, say, say_all, show_warnings_plainly


def identify(
    table: Annotated[Path, typer.Argument(help="Measurements, one row a print: CSV, TSV or Excel.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for identity.json, tables and pictures.")] = Path(
        "identity"
    ),
    animal: Annotated[str | None, typer.Option("--animal", help="The column that names the animal.")] = None,
    trail: Annotated[str | None, typer.Option("--trail", help="The column that names the trail.")] = None,
    reference: Annotated[Path | None, typer.Option("--reference", help="A second table, of known animals.")] = None,
    method: Annotated[
        Literal["plda", "fit"], typer.Option("--method", help="fit is the pairwise reference-centroid method.")
    ] = "plda",
    species: Annotated[
        str | None, typer.Option("--species", help="Preset of fit: tiger, puma, cheetah, panda, rhino.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    json: Json = False,
) -> None:
    """Count the individuals that left these prints, and say which trail is whose.

    Example: `ethomorph identify prints.csv --reference known.csv --out who`
    """
    show_warnings_plainly()
    from ethomorph.identity.identify import identify as identify_table

    result = identify_table(
        table, out=out, animal=animal, trail=trail, reference=reference, method=method, species=species, seed=seed
    )
    if json:
        print_json(result)
        return
    say_all([*result.get("notes", []), *result.get("warnings", [])])
    count = result["individuals"]
    if count["value"] is None:
        say(f"individuals: none ({count['reason']})")
    else:
        say(f"individuals: {count['value']:g} (95 % interval {count['low']:g} to {count['high']:g})")
    print(out / "identity.json")
