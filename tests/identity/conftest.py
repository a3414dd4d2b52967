"""Tables on disk that several tests of footprints share."""

import pytest

from ethomorph.identity.table import write_prints
from ethomorph.phantoms.prints import FIELD, simulate_prints


@pytest.fixture(scope="session")
def tables(tmp_path_factory):
    """A folder with known.csv (24 known animals) and survey.csv (6 animals, not named), field conditions."""
    folder = tmp_path_factory.mktemp("tables")
    write_prints(simulate_prints(animals=24, variables=40, shares=FIELD, sites=2, seed=1), folder / "known.csv")
    survey = simulate_prints(animals=6, variables=40, shares=FIELD, sites=2, seed=2)
    survey.trail = survey.trail.copy()
    for number, name in enumerate(survey.trails):
        survey.trail[survey.trail == name] = f"walk {number:02d}"
    survey.animal[:] = ""
    survey.attributes.pop("sex")
    write_prints(survey, folder / "survey.csv")
    return folder
