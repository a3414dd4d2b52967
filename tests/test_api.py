from __future__ import annotations

import subprocess
import sys

import pytest

import ethomorph as em
from ethomorph.api import groups_of
from ethomorph.core.errors import SplitError
from ethomorph.core.landmarks import LandmarkSet, Specimen

POINTS = [[0, 0], [3, 4]]


def pictures(*pairs: tuple[str, str]) -> LandmarkSet:
    return LandmarkSet([Specimen(POINTS, id=name, image=image) for name, image in pairs], names=["a", "b"])


def test_importing_costs_nothing():
    code = "import sys, ethomorph; print(','.join({'torch', 'pandas', 'numpy', 'sleap_io'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_every_public_name_is_there():
    for name in em.__all__:
        assert getattr(em, name) is not None
    with pytest.raises(AttributeError):
        _ = em.no_such_thing


def test_specimens_in_one_picture_stay_together():
    groups = groups_of(pictures(("ann", "1.png"), ("bob", "1.png"), ("bob", "2.png"), ("cid", "3.png")), "specimen")
    assert groups[0] == groups[1] == groups[2] != groups[3]


def test_unknown_groups_are_named():
    with pytest.raises(SplitError, match=r"4 specimen\(s\) have no 'site', such as ann"):
        groups_of(pictures(("ann", "1.png"), ("bob", "2.png"), ("cid", "3.png"), ("dan", "4.png")), "site")


def test_split_gives_whole_individuals():
    found = pictures(*[(f"animal {i // 2}", f"{i}.png") for i in range(40)])
    train, validation, test = em.split(found, test=0.25, validation=0.25, seed=1)
    ids = [{s.id for s in part} for part in (train, validation, test)]
    assert not (ids[0] & ids[1] or ids[0] & ids[2] or ids[1] & ids[2])
    assert len(train) + len(validation) + len(test) == 40


def test_split_by_sample_must_be_asked_for_and_warns():
    with pytest.warns(UserWarning, match="flatter"):
        em.split(pictures(*[("ann", f"{i}.png") for i in range(8)]), by="sample")


def test_write_and_read_give_the_same_points(tmp_path):
    wings = LandmarkSet(
        [Specimen([[1.25, 2.5], [3, 4]], id="a", image="a.png", scale=0.1)], names=["1", "2"], frame="y_up"
    )
    em.write(wings, tmp_path / "w.tps")
    again = em.read(tmp_path / "w.tps")
    assert again[0].points.tolist() == wings[0].points.tolist()
    assert again[0].scale == 0.1
