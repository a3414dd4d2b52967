"""Every format: what it says it holds comes back exactly; what does not come back was said."""

from __future__ import annotations

import math
import string
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.registry import FORMATS, format_named, read_landmarks

NAMES = [f.name for f in FORMATS]
EXAMPLES = {"sleap": 12, "deeplabcut-h5": 25}
RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
ONE_SPECIMEN = {"fcsv"}

plain = st.text(string.ascii_letters + "äé -.,()&<>", min_size=1, max_size=8).map(
    lambda t: "s" + " ".join(t.split()).strip()
)
token = st.text(string.ascii_letters + "ä-.", min_size=1, max_size=8).map(lambda t: "s" + t)
wild = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
MARKERS = (-1.0, -999.0, 9999.0)  # by which formats mark missing points
coordinate = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda v: v not in MARKERS)
tiny = st.floats(-1e6, 1e6, allow_nan=False, allow_subnormal=True)
positive = st.floats(1e-3, 1e3)


@st.composite
def landmark_sets(draw, dim, frame, holds, text, key, full=False, one=False, picture=None):
    """Sets with the features that `holds` has (all of them if `full`), in the given frame."""
    p, n = draw(st.integers(1, 5)), 1 if one else draw(st.integers(1, 4))

    def has(name):
        return (full or getattr(holds, name)) and draw(st.booleans())

    def points(count):
        flat = draw(st.lists(coordinate if not full else tiny, min_size=count * dim, max_size=count * dim))
        return np.array(flat).reshape(count, dim)

    features = {
        name: has(name)
        for name in (
            "missing",
            "names",
            "ids",
            "pictures",
            "scale",
            "boxes",
            "curves",
            "confidence",
            "spread",
            "attributes",
            "edges",
            "symmetry",
            "unit",
        )
    }
    specimens = []
    for _ in range(n):
        s = Specimen(points(p))
        if features["missing"]:
            s.points[np.array(draw(st.lists(st.booleans(), min_size=p, max_size=p)))] = np.nan
        if features["ids"]:
            s.id = draw(text)
        if features["pictures"]:
            s.image = draw(text if picture is None else picture) or None
        if features["scale"]:
            s.scale = draw(positive)
            s.unit = draw(st.sampled_from(["mm", "cm"])) if features["unit"] else "mm"
        if features["boxes"]:
            left, top = draw(st.integers(-50, 50)), draw(st.integers(-50, 50))
            s.box = (left, top, left + draw(st.integers(0, 99)), top + draw(st.integers(0, 99)))
        if features["curves"]:
            s.curves = [points(c) for c in draw(st.lists(st.integers(1, 3), max_size=2))]
        if features["confidence"]:
            s.confidence = np.array(draw(st.lists(st.floats(0.01, 1), min_size=p, max_size=p)))
        if features["spread"]:
            s.spread = np.array(draw(st.lists(st.floats(0, 9), min_size=p, max_size=p)))
        if features["attributes"]:
            s.attributes = draw(st.dictionaries(key, text, max_size=3))
        specimens.append(s)
    names = [str(i) for i in range(1, p + 1)]
    if features["names"]:
        names = draw(st.lists(text, min_size=p, max_size=p, unique=not full))
    pairs = st.lists(st.tuples(st.integers(0, p - 1), st.integers(0, p - 1)), max_size=2, unique=True)
    distinct = [pair for pair in draw(pairs) if pair[0] != pair[1]] if features["edges"] else []
    mirrored = [(0, 1)] if features["symmetry"] and p > 1 else []
    return LandmarkSet(specimens, names, frame=frame, edges=distinct, symmetry=mirrored)


def same(a, b):
    """Equality of numbers with NaN equal to NaN, to the last digits."""
    if a is None or b is None:
        return a is None and b is None
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return a.shape == b.shape and bool(np.allclose(a, b, rtol=1e-12, atol=1e-9, equal_nan=True))


def whole(specimen):
    points = specimen.points.copy()
    points[np.isnan(points).any(axis=1)] = np.nan
    return points


def differences(before, after):
    """What did not come back, each as the words one of which a sentence must have."""
    found = []
    if len(before) != len(after):
        return [("specimens", ("dropped",))]
    for a, b in zip(before, after, strict=True):
        checks = {
            ("points",): (same(whole(a), b.points), ("missing", "order", "named", "name")),
            ("id",): (a.id == b.id, (" id", "texts")),
            ("image",): ((a.image or "") == (b.image or ""), ("picture", "texts")),
            ("scale",): (same(a.scale, b.scale), ("scale",)),
            ("unit",): (a.scale is None or a.unit == b.unit, ("unit", "scale")),
            ("box",): (same(a.box, b.box), ("box",)),
            ("curves",): (len(a.curves) == len(b.curves) and all(map(same, a.curves, b.curves)), ("curve",)),
            ("confidence",): (same(a.confidence, b.confidence), ("confidence",)),
            ("spread",): (same(a.spread, b.spread), ("spread",)),
            ("attributes",): (
                a.attributes == b.attributes,
                ("attribute", "texts", "numbered as frames", "read in another way"),
            ),
        }
        # a specimen that was put in another place explains every difference at the old one
        found += [(name[0], (*words, "put in order")) for name, (equal, words) in checks.items() if not equal]
    if before.names != after.names:
        found.append(("names", ("landmark names", "order of their numbers", "missing")))
    if {tuple(sorted(e)) for e in before.edges} != {tuple(sorted(e)) for e in after.edges}:
        found.append(("edges", ("edge",)))
    if before.symmetry != after.symmetry:
        found.append(("symmetry", ("symmetric",)))
    return found


def cases(format_name):
    holds = format_named(format_name).holds
    return [(dim, next(f for f in holds.frames if (f == "lps") == (dim == 3))) for dim in holds.dims]


@pytest.mark.parametrize("name", NAMES)
def test_what_it_holds_comes_back(name, tmp_path):
    chosen = format_named(name)
    text = token if name in ("nts", "morphologika") else plain
    path = tmp_path / f"file{chosen.suffixes[0]}"

    @settings(max_examples=EXAMPLES.get(name, 40), deadline=None, suppress_health_check=RELAXED)
    @given(st.data())
    def check(data):
        dim, frame = data.draw(st.sampled_from(cases(name)))
        key = token.map(lambda t: t.replace("x", "a").replace("X", "A").replace("y", "b").replace(".", "_"))
        before = data.draw(
            landmark_sets(
                dim, frame, chosen.holds, text, key, one=name in ONE_SPECIMEN, picture=plain.map(lambda t: t + ".jpg")
            )
        )
        if name in ("slicer", "nts", "morphologika"):  # here an empty id cannot be told from a made-up one
            before = replace(before, specimens=[replace(s, id=s.id or f"made-{i}") for i, s in enumerate(before)])
        if name in ("deeplabcut", "deeplabcut-h5"):
            before = replace(before, specimens=[replace(s, image=f"{i:02d}.png") for i, s in enumerate(before)])
        if name == "sleap":  # SLEAP keeps specimens by picture
            before = replace(before, specimens=[replace(s, image=f"{i:02d}.png") for i, s in enumerate(before)])
        if name == "fcsv":
            before[0].id = "file"
        if name in ("dlib", "coco"):  # these make a box where there is none
            before = replace(before, specimens=[replace(s, box=s.box or (0, 0, 9, 9)) for s in before])
        if name == "dlib":  # a part that is marked nowhere is not in the file
            before[0].points[np.isnan(before[0].points)] = 5
        sentences = chosen.write(before, path)
        after = chosen.read(path)
        assert differences(before, after) == [], sentences
        assert after.frame == frame
        assert not [s for s in sentences if "drop" in s]

    check()


@pytest.mark.parametrize("name", NAMES)
def test_what_does_not_come_back_is_said(name, tmp_path):
    chosen = format_named(name)
    path = tmp_path / f"file{chosen.suffixes[0]}"

    @settings(max_examples=EXAMPLES.get(name, 60), deadline=None, suppress_health_check=RELAXED)
    @given(st.data())
    def check(data):
        dim, frame = data.draw(st.sampled_from(cases(name)))
        before = data.draw(landmark_sets(dim, frame, chosen.holds, wild, wild, full=True, one=name in ONE_SPECIMEN))
        sentences = chosen.write(before, path)
        if not any(s.visible.any() for s in before) and name in ("dlib", "coco", "deeplabcut", "deeplabcut-h5", "fcsv"):
            return  # nothing was written that could be read
        after = chosen.read(path)
        for what, words in differences(before, after):
            assert any(word in sentence for word in words for sentence in sentences), (what, sentences)

    check()


def test_flip_is_exact_in_round_trips(tmp_path):
    rng = np.random.default_rng(5)
    specimens = [
        Specimen(rng.uniform(0, 3000, (12, 2)), id=str(i), image=f"{i}.jpg", image_size=(2944, 2352)) for i in range(9)
    ]
    wings = LandmarkSet(specimens, [str(i + 1) for i in range(12)])
    format_named("tps").write(wings, tmp_path / "wings.tps")
    back = read_landmarks(tmp_path / "wings.tps")
    assert back.frame == "y_up"
    np.testing.assert_allclose(2944 - back.array()[..., 1], wings.array()[..., 1], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(back.array()[..., 0], wings.array()[..., 0])
    assert not math.isclose(back.array()[0, 0, 1], wings.array()[0, 0, 1])
