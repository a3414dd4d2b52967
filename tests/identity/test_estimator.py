"""The whole chain on simulated surveys and held-out animals of public tables."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.identity.estimator import Identifier
from ethomorph.identity.halves import identify_halves
from ethomorph.identity.match import NONE, match
from ethomorph.identity.score import area_under_curve, balanced_accuracy
from ethomorph.identity.table import read_prints
from ethomorph.phantoms.prints import FIELD, simulate_prints


@pytest.fixture(scope="module")
def known():
    return simulate_prints(animals=22, seed=1)


@pytest.fixture(scope="module")
def survey():
    return simulate_prints(animals=9, seed=2)


@pytest.fixture(scope="module")
def model(known):
    return Identifier(replicas=3).fit(known)


def test_survey_is_counted_and_sorted(model, survey):
    found = model.predict(survey)
    owner = survey.of_trails(survey.animal)
    assert found.individuals.low <= 9 <= found.individuals.high
    assert adjusted_rand_score(owner, found.individual) > 0.9
    assert found.individual.max() + 1 == found.individuals.value
    assert ((found.probability >= 0) & (found.probability <= 1)).all()


def test_one_animal_is_not_split(model):
    found = model.predict(simulate_prints(animals=1, trails=(8, 8), seed=4))
    assert (found.individuals.value, found.individuals.low) == (1, 1)


def test_fewer_prints_widen_the_interval():
    model = Identifier(replicas=4).fit(simulate_prints(animals=25, shares=FIELD, seed=11))

    def width(prints):
        surveys = [
            simulate_prints(animals=12, trails=(2, 2), prints=(prints, prints), shares=FIELD, seed=s) for s in range(3)
        ]
        counts = [model.predict(survey).individuals for survey in surveys]
        return sum(count.high - count.low for count in counts)

    assert width(3) > width(9)


def test_order_of_prints_and_units_do_not_matter(known, survey, model):
    shuffled = np.random.default_rng(0).permutation(len(survey))
    again = survey.where(np.ones(len(survey), bool))
    again.values, again.trail, again.animal = survey.values[shuffled], survey.trail[shuffled], survey.animal[shuffled]
    assert model.predict(again).scores == pytest.approx(model.predict(survey).scores)
    inches = Identifier(replicas=0).fit(_scaled(known)).predict(_scaled(survey))
    plain = Identifier(replicas=0).fit(known).predict(survey)
    assert inches.scores == pytest.approx(plain.scores, rel=1e-4, abs=1e-4)


def _scaled(table):
    copy = table.where(np.ones(len(table), bool))
    copy.values = copy.values / 2.54
    return copy


def test_reference_alone_decides_what_is_learned(known, survey):
    """The survey must not change scaling, axes, imputation or calibration: scores of two trails alone are the same."""
    model = Identifier(replicas=0).fit(known)
    whole = model.predict(survey)
    two = survey.where(np.isin(survey.trail, survey.trails[:2]))
    assert model.predict(two).scores[0, 1] == pytest.approx(whole.scores[0, 1])


@pytest.mark.parametrize("method", ["plda", "fit"])
def test_saved_models_say_the_same(tmp_path, known, survey, method):
    model = Identifier(method=method, replicas=2).fit(known)
    again = Identifier.load(model.save(tmp_path / "model"))
    first, second = model.predict(survey), again.predict(survey)
    assert second.scores == pytest.approx(first.scores)
    assert second.individuals == first.individuals
    assert not list((tmp_path / "model").glob("*.pkl"))


def test_a_folder_without_model_is_refused(tmp_path):
    with pytest.raises(FormatError, match="no identity model"):
        Identifier.load(tmp_path)


def test_gaps_are_imputed_and_nothing_is_dropped(known):
    holed = simulate_prints(animals=9, seed=2, missing=0.1)
    found = Identifier(replicas=0, imputation="mean").fit(known).predict(holed)
    assert len(found.trails) == len(holed.trails)


def test_shifts_overlaps_and_feet_are_reported(model, known):
    shifted = simulate_prints(animals=16, sites=2, substrate_shift=1.0, seed=5)
    shifted.attributes["foot"] = np.where(np.arange(len(shifted)) % 2, "LH", "RH")
    warned = " ".join(model.predict(shifted).warnings)
    assert "differ between sites" in warned
    assert "several feet" in warned
    assert "animals are in both" in " ".join(model.predict(known).warnings)


def test_refusals(known, survey):
    with pytest.raises(LabelError, match="no known animals"):
        blind = survey.where(np.ones(len(survey), bool))
        blind.animal = np.full(len(blind), "")
        Identifier().fit(blind)
    with pytest.raises(LabelError, match="one trail"):
        Identifier(replicas=0).fit(known).predict(survey.where(survey.trail == survey.trails[0]))
    with pytest.raises(LabelError, match="are absent"):
        Identifier(replicas=0).fit(known).predict(survey.with_variables(survey.variables[:50]))


def test_open_set_match_knows_strangers(known, model):
    library = simulate_prints(animals=9, trails=(4, 4), seed=2)
    number = np.array([int(trail[-1]) for trail in library.trail])
    strangers = simulate_prints(animals=6, seed=77)
    found = match(model, library.where(number > 2), library=library.where(number <= 2))
    names = [name for _, name, _ in found.best()]
    truth = library.where(number > 2).of_trails(library.where(number > 2).animal)
    assert np.mean(np.array(names) == truth) > 0.9
    unknown = match(model, strangers, library=library)
    assert np.mean([name == NONE for _, name, _ in unknown.best()]) > 0.9
    closed = match(model, strangers, library=library, unknown=None)
    assert NONE not in [name for _, name, _ in closed.best()]
    assert closed.probability.sum(1) == pytest.approx(1)


def test_halves_join_into_one_result(known):
    found = identify_halves(known, lambda: Identifier(replicas=1))
    assert found.trails == known.trails
    assert adjusted_rand_score(known.of_trails(known.animal), found.individual) > 0.9
    assert np.isnan(found.scores).any()
    assert len(found.tree) == len(found.trails) - 1


def test_held_out_pumas(shared_data):
    table = read_prints(shared_data / "footprints" / "MountainLion.csv")
    animals = np.random.default_rng(0).permutation(np.unique(table.animal))
    learned = np.isin(table.animal, animals[:17])
    survey = table.where(~learned)
    found = Identifier(replicas=4).fit(table.where(learned)).predict(survey)
    owner = survey.of_trails(survey.animal)
    upper = np.triu_indices(len(owner), 1)
    same, scores = (owner[:, None] == owner)[upper], found.scores[upper]
    assert balanced_accuracy(scores, same) > 0.95
    assert area_under_curve(scores, same) > 0.99
    assert found.individuals.low <= 18 <= found.individuals.high
