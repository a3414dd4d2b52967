"""Verdicts of a person: kept to, drawn together, and refused where they contradict each other."""

import numpy as np
import pytest

from ethomorph.core.errors import InputError
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.identify import identify
from ethomorph.identity.verdicts import Verdicts, blocks_of, read_verdicts
from ethomorph.phantoms.prints import simulate_prints


@pytest.fixture(scope="module")
def model():
    return Identifier(replicas=1).fit(simulate_prints(animals=16, variables=30, seed=1))


@pytest.fixture(scope="module")
def survey():
    return simulate_prints(animals=5, variables=30, trails=(2, 3), seed=2)


def code(found, trail):
    return found.individual[found.trails.index(trail)]


def test_verdicts_are_kept_to_against_all_evidence(model, survey):
    free = model.predict(survey)
    owner = dict(zip(survey.trails, survey.of_trails(survey.animal), strict=True))
    names = survey.trails
    together = next((a, b) for a in names for b in names if a < b and owner[a] == owner[b])
    split = next((a, b) for a in names for b in names if a < b and owner[a] != owner[b] and together[0] not in (a, b))
    assert code(free, together[0]) == code(free, together[1]) and code(free, split[0]) != code(free, split[1])
    kept = model.predict(survey, verdicts=Verdicts(same=[split], different=[together]))
    assert code(kept, split[0]) == code(kept, split[1])
    assert code(kept, together[0]) != code(kept, together[1])
    np.testing.assert_array_equal(kept.scores, free.scores)  # what the pair itself says stays what it is


def test_what_follows_from_several_verdicts_is_drawn(model, survey):
    a, b, c = survey.trails[:3]
    found = model.predict(survey, verdicts=Verdicts(same=[(a, b)], different=[(b, c)]))
    assert code(found, a) == code(found, b) != code(found, c)
    everyone = [(a, other) for other in survey.trails[1:]]
    one = model.predict(survey, verdicts=Verdicts(same=everyone))
    assert one.individuals.value == 1 and one.individual.max() == 0


def test_contradictions_and_strangers_are_refused(model, survey):
    a, b, c = survey.trails[:3]
    with pytest.raises(InputError, match="two animals, and by other verdicts one"):
        blocks_of(Verdicts(same=[(a, b), (b, c)], different=[(c, a)]), survey.trails)
    with pytest.raises(InputError, match="'nobody', which is not in the survey"):
        model.predict(survey, verdicts=Verdicts(same=[(a, "nobody")]))
    with pytest.raises(InputError, match="method plda"):
        Identifier(method="fit").fit(simulate_prints(animals=12, variables=20, seed=1)).predict(
            simulate_prints(animals=3, variables=20, seed=3), verdicts=Verdicts(same=[(a, b)])
        )


def test_a_table_of_verdicts(tables, tmp_path):
    file = tmp_path / "verdicts.csv"
    file.write_text("trail_a,trail_b,verdict,person\nwalk 00,walk 01,same,ann\nwalk 00,walk 02,unsure,ann\n")
    assert read_verdicts(file) == Verdicts([("walk 00", "walk 01")], [], str(file))
    result = identify(
        tables / "survey.csv", reference=tables / "known.csv", out=tmp_path / "who", pictures=False, verdicts=file
    )
    assert result["verdicts"] == 1
    owner = {row["trail"]: row["individual"] for row in result["trails"]}
    assert owner["walk 00"] == owner["walk 01"]
    assert {"tree.json", "prints.csv"} <= set(result["files"])
    file.write_text("trail_a,trail_b,verdict\nwalk 00,walk 01,perhaps\n")
    with pytest.raises(InputError, match="line 2: verdict 'perhaps'"):
        read_verdicts(file)
    file.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="columns trail_a"):
        read_verdicts(file)
