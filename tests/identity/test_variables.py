"""Recipes and variables: closed forms, invariance, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.identity.recipe import read_recipe
from ethomorph.identity.variables import all_points, measure_prints, variables_of

SMALL = """
[recipe]
species = "square"
unit = "cm"
[orientation]
left = "a"
right = "b"
up = "c"
[points]
placed = ["a", "b", "c", "d"]
[points.derived]
middle = { intersection = ["a", "c", "b", "d"] }
below = { foot = ["d", "a", "b"] }
half = { midpoint = ["a", "middle"] }
[variables]
side = { length = [["a", "b"], ["b", "c"]] }
corner = { angle = ["a", "b", "c"] }
size = { area = ["a", "b", "c", "d"] }
oval = { ellipse = ["a", "c", "b", "d"] }
form = { ratio = ["side_1", "side_2"] }
all = { sum = ["side_1", "side_2"] }
reach = { length = ["half", "below"] }
"""


@pytest.fixture
def small(tmp_path):
    (tmp_path / "square.toml").write_text(SMALL, encoding="utf-8")
    return read_recipe(tmp_path / "square.toml")


def test_closed_forms(small):
    square = np.array([[[0, 4], [4, 4], [4, 1], [0, 1.0]]])  # 4 wide, 3 high, y down
    values = dict(zip(small.names, variables_of(square, small)[0], strict=True))
    assert values["side_1"] == pytest.approx(4)
    assert values["corner"] == pytest.approx(90)
    assert values["size"] == pytest.approx(12)
    assert values["oval"] == pytest.approx(np.pi / 4 * 25)
    assert values["form"] == pytest.approx(4 / 3)
    assert values["all"] == pytest.approx(7)
    assert values["reach"] == pytest.approx(np.hypot(1, 0.75))
    points = all_points(square, small)
    assert points["a"][0] == pytest.approx([-2, 0])
    assert points["c"][0, 1] > 0


def foot(seed):
    """A plausible felid print in cm, jittered."""
    felid = read_recipe("felid")
    generator = np.random.default_rng(seed)
    where = {}
    for toe, (x, y) in enumerate([(-3, 3), (-1.2, 5), (1.2, 5.2), (3, 3.4)], 1):
        where |= {
            f"toe{toe}_tip": (x, y + 1.3), f"toe{toe}_base": (x, y - 1.3),
            f"toe{toe}_outer": (x - 0.8, y), f"toe{toe}_inner": (x + 0.8, y),
        }  # fmt: skip
    heel = [(0, 1.5), (-1.5, 0.8), (1.5, 0.8), (-2.5, -1), (2.5, -1), (-2, -2.5), (0, -2.7), (2, -2.5), (0, -2)]
    where |= dict(zip(felid.placed[16:], heel, strict=True))
    points = np.array([where[name] for name in felid.placed], dtype=float)
    return points + 0.1 * generator.normal(size=points.shape)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000), turn=st.floats(-3.2, 3.2), x=st.floats(-500, 500), y=st.floats(-500, 500),
    scale=st.floats(0.01, 100), mirrored=st.booleans(),
)  # fmt: skip
def test_variables_do_not_see_rotation_place_scale_or_side(seed, turn, x, y, scale, mirrored):
    felid = read_recipe("felid")
    points = foot(seed) * np.array([1, -1])  # image frame: y down
    expected = variables_of(points[None], felid)[0]
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = (points * np.array([-1.0, 1.0]) if mirrored else points) @ rotation.T / scale + [x / scale, y / scale]
    specimen = Specimen(moved, id="p", scale=scale, unit="cm", attributes={"foot": "RH" if mirrored else "LH"})
    table = measure_prints(LandmarkSet([specimen], list(felid.placed)), felid)
    assert table.values[0] == pytest.approx(expected, rel=1e-5, abs=1e-5)


def test_order_of_landmarks_and_prints_does_not_matter():
    felid = read_recipe("felid")
    order = np.random.default_rng(0).permutation(25)
    prints = [Specimen(foot(s) * [1, -1], id=f"{s}", scale=1.0, unit="cm") for s in range(3)]
    shuffled = [Specimen(s.points[order], id=s.id, scale=10.0, unit="mm") for s in prints[::-1]]
    first = measure_prints(LandmarkSet(prints, list(felid.placed)), felid)
    second = measure_prints(LandmarkSet(shuffled, [felid.placed[i] for i in order]), felid)
    assert second.values[::-1] == pytest.approx(first.values)
    assert second.trail[::-1].tolist() == first.trail.tolist()


def test_missing_landmark_leaves_the_other_variables():
    felid = read_recipe("felid")
    points = foot(0) * [1, -1]
    points[felid.placed.index("heel_notch")] = np.nan
    gaps = np.isnan(variables_of(points[None], felid)[0])
    assert 0 < gaps.sum() < 20
    assert not gaps[felid.names.index("length_toe_1")]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"d", "a", "b"] }', '"x", "a", "b"] }', "uses 'x'"),
        ("midpoint", "between", "one rule"),
        ('corner = { angle = ["a", "b", "c"] }', 'corner = { angle = ["a", "b"] }', "made of 3"),
        ('ratio = ["side_1", "side_2"]', 'ratio = ["side_1", "later"]', "'later'"),
        ('up = "c"', 'up = "a"', "three different points"),
        ("[variables]", "[measurements]", r"no section \[variables\]"),
        ("half =", "middle =", "TOML"),
        ("all =", "side_1 =", "defined twice"),
    ],
)
def test_faulty_recipes_are_refused_by_key(tmp_path, old, new, message):
    assert old in SMALL
    (tmp_path / "bad.toml").write_text(SMALL.replace(old, new), encoding="utf-8")
    with pytest.raises(FormatError, match=message):
        read_recipe(tmp_path / "bad.toml")


def test_unknown_species_and_missing_scale_are_refused(small):
    with pytest.raises(FormatError, match="felid"):
        read_recipe("unicorn")
    with pytest.raises(LabelError, match="no scale"):
        measure_prints(LandmarkSet([Specimen(np.zeros((4, 2)), id="p")], list("abcd")), small)
    with pytest.raises(LabelError, match="absent"):
        measure_prints(LandmarkSet([Specimen(np.zeros((1, 2)), id="p")], ["a"]), small)
