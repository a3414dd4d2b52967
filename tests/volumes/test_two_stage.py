"""Find one structure and remove it, then segment the rest."""

import numpy as np
import pytest

from ethomorph.core.errors import InputError
from ethomorph.phantoms.head import simulate_head
from ethomorph.volumes.data import Case
from ethomorph.volumes.estimator import VolumeSegmenter
from ethomorph.volumes.two_stage import emptied, without_crumbs

CLASSES = {"brain": "Brain", "skull": ["OtherBone", "LowerJaw*"]}
STAGE = {"steps": 50, "patch_voxels": 16**3 * 2, "channels": 6, "averaging": 0.9}


@pytest.fixture(scope="module")
def cases():
    heads = [simulate_head(seed=s, spacing=0.6, contrast="mri", teeth=20, brain=True) for s in range(2)]
    return [Case(h.name, h.image, h.labels) for h in heads]


def test_both_stages_learn_and_are_saved(cases, tmp_path):
    model = VolumeSegmenter(
        method="two-stage", classes=CLASSES, settings={"first": STAGE, "second": STAGE}, device="cpu"
    )
    model.fit(cases[:1], validation=cases[1:], folder=tmp_path / "run", progress=False)
    assert not list((tmp_path / "run" / "removed").iterdir())
    found = model.predict_case(cases[1], progress=False)
    truth = cases[1].labels
    brain, true_brain = found.mask("brain"), truth.mask("Brain")
    assert (brain & true_brain).sum() > 0.6 * true_brain.sum() and brain.mean() < 0.5
    encoded = model.classes.encode_prediction(found)
    assert set(np.unique(encoded.classes)) <= {0, 1, 2}
    model.save(tmp_path / "m")
    again = VolumeSegmenter.load(tmp_path / "m", device="cpu").predict_case(cases[1], progress=False)
    assert np.array_equal(found.array, again.array) and found.names == again.names


def test_removing_leaves_air_and_nothing_else_changed(cases):
    image, mask = cases[0].image, cases[0].labels.mask("Brain")
    without = emptied(image, mask).array
    assert np.array_equal(without[~mask], image.array[~mask])
    assert np.unique(without[mask]).size == 1 and without[mask].max() <= np.percentile(image.array, 5)


@pytest.mark.parametrize("coarse", [10**6, 2000])
def test_crumbs_are_no_part_of_what_is_removed(coarse, monkeypatch):
    monkeypatch.setattr("ethomorph.volumes.two_stage.COARSE_VOXELS", coarse)
    mask = np.zeros((40, 30, 35), bool)
    mask[5:20, 5:20, 5:20] = True
    eyes = mask.copy()
    eyes[28:38, 5:15, 5:15] = True  # a third of the larger
    crumbs = eyes.copy()
    crumbs[5:8, 25:28, 28:31] = True
    assert np.array_equal(without_crumbs(crumbs), eyes)
    assert not without_crumbs(np.zeros_like(mask)).any()


@pytest.mark.parametrize(
    "settings", [{"remove": "liver"}, {"removed": "brain"}, {"first": {"stepz": 1}}],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings):
    with pytest.raises(InputError):
        VolumeSegmenter(method="two-stage", classes=CLASSES, settings=settings)._new()
