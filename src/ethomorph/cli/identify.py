"""``ethomorph identify``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ethomorph.cli.output import Json, Quiet, print_json, say, say_all, show_warnings_plainly


def identify(
    table: Annotated[Path, typer.Argument(help="Measurements, one row a print: CSV, TSV or Excel.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for identity.json, tables and pictures.")] = Path(
        "identity"
    ),
    animal: Annotated[str | None, typer.Option("--animal", help="The column that names the animal.")] = None,
    trail: Annotated[str | None, typer.Option("--trail", help="The column that names the trail.")] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="Another column, role=NAME: sex, age, species, site, session, foot, substrate."),
    ] = None,
    reference: Annotated[Path | None, typer.Option("--reference", help="A second table, of known animals.")] = None,
    method: Annotated[
        Literal["plda", "fit"], typer.Option("--method", help="fit is the pairwise reference-centroid method.")
    ] = "plda",
    species: Annotated[
        str | None, typer.Option("--species", help="Preset of fit: tiger, puma, cheetah, panda, rhino.")
    ] = None,
    in_sample: Annotated[
        bool, typer.Option("--in-sample", help="For fit: the table is its own reference, as in the original.")
    ] = False,
    imputation: Annotated[
        Literal["forest", "mean"], typer.Option("--imputation", help="How missing measurements are filled.")
    ] = "forest",
    missing_trail: Annotated[
        Literal["drop", "single"], typer.Option("--missing-trail", help="Prints without trail: out, or one trail each.")
    ] = "drop",
    unknown: Annotated[
        float, typer.Option("--unknown", min=0.001, max=0.999, help="Chance that a trail is of no known animal.")
    ] = 0.5,
    closed: Annotated[
        bool, typer.Option("--closed", help="Every trail is of a known animal: no answer 'none of these'.")
    ] = False,
    classes: Annotated[
        list[str] | None, typer.Option("--classes", help="Discriminate sex, age, species or a column; may be repeated.")
    ] = None,
    hold_out: Annotated[
        int, typer.Option("--hold-out", min=0, help="Also count held-out known animals, so many rounds a number.")
    ] = 0,
    pictures: Annotated[bool, typer.Option("--pictures/--no-pictures", help="Draw the tree, pairs and count.")] = True,
    images: Annotated[
        Path | None, typer.Option("--images", help="Folder of the prints' pictures, for `ethomorph review`.")
    ] = None,
    verdicts: Annotated[
        Path | None, typer.Option("--verdicts", help="What people said of pairs on the review page; kept to.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Count the individuals that left these prints, and say which trail is whose.

    Example: `ethomorph identify prints.csv --reference known.csv --out who`
    """
    show_warnings_plainly()
    from ethomorph.core.metric import Metric
    from ethomorph.identity.columns import roles_of
    from ethomorph.identity.identify import identify as identify_table

    def progress(done: int, number: int) -> None:
        say(f"held out and counted: {done} of {number}")

    result = identify_table(
        table, out=out, animal=animal, trail=trail, columns=roles_of(column or []), reference=reference, method=method,
        species=species, in_sample=in_sample, imputation=imputation, missing_trail=missing_trail,
        unknown=None if closed else unknown, classes=classes or ("sex",), hold_out=hold_out, pictures=pictures,
        seed=seed, images=images, verdicts=verdicts, progress=None if quiet else progress,
    )  # fmt: skip
    if json:
        print_json(result)
        return
    say_all([*result["notes"], *result["warnings"]])
    for name, block in result.get("discrimination", {}).items():
        if "leave_one_animal_out" in block:
            honest, inside = (block[k]["trail"] for k in ("leave_one_animal_out", "in_sample"))
            said = f"{Metric.from_dict(honest)} with each animal left out"
            say(f"{name} by trail: {said} ({inside['value']:.3g} in-sample)")
        else:
            say(f"{name}: not discriminated ({block['reason']})")
    if "hold_out" in result:
        held = result["hold_out"]
        say(
            f"held-out animals: counted {held['mean_ratio']:.2f} of the truth on average, "
            f"{held['covered']:.0%} of {held['rounds']} intervals hold it"
        )
    say(f"individuals: {count_of(result['individuals'])}")
    print(out / "identity.json")


def count_of(block: dict) -> str:
    """A count's metric block as people read it."""
    return f"{block['value']:g} (95 % interval {block['low']:g} to {block['high']:g})"
