"""Classes by the names of segments, whatever their label values."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, Segment
from ethomorph.volumes.classes import ClassMap, describe_matches

GRID = Grid((2, 3, 4), (1, 1, 1))
TABLE = {"jaw": "LowerJaw*", "tooth": {"match": ["Tooth*", "/^dent_[0-9]+$/"], "instances": True}, "ignore": "Artefact"}


def labels(names: dict[str, int]) -> LabelVolume:
    array = np.zeros(GRID.shape, np.uint8)
    for i, value in enumerate(names.values()):
        array[0, 0, i % 4] = value
    return LabelVolume.of(array, GRID, names)


def test_label_values_and_order_do_not_matter():
    classes = ClassMap.of(TABLE)
    one = classes.encode(labels({"LowerJaw_left": 1, "Tooth_1": 2, "dent_2": 3}))
    array = labels({"LowerJaw_left": 1, "Tooth_1": 2, "dent_2": 3}).array
    renumbered = np.array([0, 45, 7, 12], np.uint8)[array]
    segments = [Segment("dent_2", 12), Segment("Tooth_1", 7), Segment("LowerJaw_left", 45)]
    other = classes.encode(LabelVolume(renumbered[None], GRID, tuple(segments)))
    assert np.array_equal(one.classes, other.classes)
    assert {one.names[i - 1] for i in np.unique(one.instances) if i} == {"Tooth_1", "dent_2"}
    for name in one.names:
        a, b = (e.instances == e.names.index(name) + 1 for e in (one, other))
        assert np.array_equal(a, b)


def test_ignored_and_unmatched_segments():
    classes = ClassMap.of(TABLE)
    found = classes.encode(labels({"Artefact": 1, "Brain": 2, "lowerjaw": 3}))
    assert found.classes[0, 0, :3].tolist() == [255, 0, 1]
    said = describe_matches({"a": classes.matched(["Tooth_1", "Tooth_2", "Brain"])})
    assert said == ["class tooth: Tooth_# (2)", "background, since no class's pattern fits: Brain (1)"]


def test_overlapping_layers_lay_the_later_on_top():
    layers = np.zeros((2, *GRID.shape), np.uint8)
    layers[0, 0], layers[1, 0, 0] = 1, 1
    segments = (Segment("LowerJaw", 1), Segment("Tooth_1", 1, layer=1))
    found = ClassMap.of(TABLE).encode(LabelVolume(layers, GRID, segments))
    assert (found.classes[0, 0] == 2).all() and (found.classes[0, 1:] == 1).all()
    assert (found.instances[0, 0] == 1).all() and found.instances[0, 1:].max() == 0


def test_a_segment_of_two_classes_is_refused():
    with pytest.raises(LabelError, match="fits the classes jaw and tooth"):
        ClassMap.of(TABLE | {"jaw": "*"}).matched(["Tooth_1"])


@pytest.mark.parametrize("bad", [{}, {"a": 3}, {"a": {"matches": "x"}}, {"a": "/(/"}, {"ignore": "x"}])
def test_tables_that_make_no_sense_are_refused(bad):
    with pytest.raises(LabelError):
        ClassMap.of(bad)


@pytest.mark.parametrize(
    ("name", "sided"), [("left mandible", True), ("Tooth_L", True), ("tooth", False), ("lid", False)]
)
def test_sides_are_seen(name, sided):
    assert ClassMap.of({name: "x*"}).sided is sided


def test_numbered_names_become_things_where_nothing_is_said():
    classes = ClassMap.each_name(["Jaw", "Tooth_01", "Tooth_02", "C7"])
    assert [(c.name, c.instances) for c in classes.classes] == [("Jaw", False), ("Tooth", True), ("C7", False)]
    assert classes.matched(["Tooth_33", "Jaw", "Toothless"]) == {"Tooth_33": "Tooth", "Jaw": "Jaw", "Toothless": None}


def test_what_is_written_is_encoded_back():
    classes = ClassMap.of(TABLE)
    truth = classes.encode(labels({"LowerJaw": 1, "Tooth_1": 2, "Tooth_2": 3}))
    of_class, of_thing, segments = classes.label_table([2, 2])
    array = np.where(truth.instances > 0, of_thing[truth.instances], of_class[truth.classes])
    written = LabelVolume(array[None], GRID, tuple(segments))
    assert written.names == ["jaw", "tooth_001", "tooth_002"]
    back = classes.encode_prediction(written)
    assert np.array_equal(back.classes, truth.classes) and np.array_equal(back.instances, truth.instances)
