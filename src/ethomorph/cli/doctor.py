"""``ethomorph doctor``"""

from __future__ import annotations

from ethomorph.cli.output import Json, print_json, print_table


def doctor(json: Json = False) -> None:
    """Say what this installation can do, and the line that installs what is missing.

    Example: `ethomorph doctor`
    """
    from ethomorph.workflow.doctor import describe_installation

    found = describe_installation()
    if json:
        print_json(found)
        return
    import pandas as pd

    machine = pd.DataFrame({"machine": list(found["machine"]), "": [str(v) for v in found["machine"].values()]})
    print_table(machine)
    print()
    print_table(pd.DataFrame(found["parts"]))
