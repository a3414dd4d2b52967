"""``ethomorph compare``"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ethomorph.cli.output import Json, print_json, print_table, say_all, show_warnings_plainly


def compare(
    first: Annotated[Path, typer.Argument(help="A run's folder.")],
    second: Annotated[Path, typer.Argument(help="Another run's folder, with the same test samples.")],
    json: Json = False,
) -> None:
    """Say whether one run is better than another on the same test samples.

    Example: `ethomorph compare wings/runs/wings/ert wings/runs/wings/heatmap`
    """
    show_warnings_plainly()
    import pandas as pd

    from ethomorph.core.metric import Metric
    from ethomorph.workflow.compare import compare as compare_runs

    result = compare_runs(first, second)
    if json:
        print_json(result)
        return
    block = {k: v for k, v in result["difference"].items() if k != "p_value"}
    p = result["difference"]["p_value"]
    rows = [
        {"run": result["first"]["run"], result["metric"]: f"{result['first']['value']:.4g}"},
        {"run": result["second"]["run"], result["metric"]: f"{result['second']['value']:.4g}"},
        {
            "run": "difference",
            result["metric"]: f"{Metric.from_dict(block)}, p = {p:.3g}"
            if p is not None
            else str(Metric.from_dict(block)),
        },
    ]
    print_table(pd.DataFrame(rows))
    say_all(result["warnings"])
