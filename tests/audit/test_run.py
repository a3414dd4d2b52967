"""A clean data set is healthy; each planted fault is found, by its name, with the sample that has it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from ethomorph.audit.check import Check, found
from ethomorph.audit.checks import balance
from ethomorph.audit.checks import parts as parts_check
from ethomorph.audit.data import AuditData
from ethomorph.audit.draw import draw_audit
from ethomorph.audit.run import Audit, run_audit
from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen

SIZE = (120, 160)
NAMES = [f"p{i}" for i in range(8)]
COUNT = 60


def picture(rng: np.random.Generator) -> np.ndarray:
    """Blobs on a common background: different animals in one standard view."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    scene = 60 + 100 * np.exp(-(((y - 60) / 30) ** 2) - ((x - 80) / 45) ** 2)
    for _ in range(12):
        cy, cx, width = rng.uniform(20, 100), rng.uniform(20, 140), rng.uniform(4, 10)
        scene += rng.uniform(-60, 60) * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / width**2)
    return np.clip(scene + rng.normal(0, 2, SIZE), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    for i in range(COUNT):
        Image.fromarray(picture(rng)).save(folder / f"w{i}.png")
    return folder


@pytest.fixture
def clean(folder) -> tuple[LandmarkSet, pd.DataFrame]:
    rng = np.random.default_rng(1)
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    mean = np.column_stack([80 + 45 * np.cos(angle), 60 + 25 * np.sin(angle)])
    mean[:, 1] += 6 * np.cos(3 * angle)  # no symmetry, so that reversing or mirroring shows
    mean[:, 0] += np.linspace(0, 12, 8)
    specimens = [
        Specimen(
            mean + rng.normal(0, 1.2, (8, 2)),
            id=f"s{i}",
            image=f"w{i}.png",
            image_path=folder / f"w{i}.png",
            image_size=SIZE,
            scale=0.1,
            attributes={"sex": "fm"[i % 2], "grade": "good" if i % 5 else "bad"},
        )
        for i in range(COUNT)
    ]
    parts = ["test" if i % 4 == 0 else "validation" if i % 7 == 1 else "train" for i in range(COUNT)]
    parts = list(np.array(parts)[rng.permutation(COUNT)])
    table = pd.DataFrame(
        {
            "sample": [s.id for s in specimens],
            "group": [s.id for s in specimens],
            "part": parts,
            "site": rng.choice(["north", "south", "east"], COUNT),
            "age": rng.uniform(1, 9, COUNT).round(2).astype(str),
            "date": [f"2024-05-{d:02d}" for d in rng.integers(1, 28, COUNT)],
        }
    )
    return LandmarkSet(specimens, NAMES), table


def changed(landmarks: LandmarkSet, index: int, **fields) -> LandmarkSet:
    specimens = list(landmarks.specimens)
    specimens[index] = replace(specimens[index], **fields)
    return replace(landmarks, specimens=specimens)


def findings(audit: Audit) -> dict[str, str]:
    return {finding.rule: f"{finding.severity}: {finding.evidence}" for finding in audit.findings}


def test_clean_set_is_healthy(clean):
    audit = run_audit(clean[0], samples=clean[1])
    assert audit.findings == [] and audit.verdict == "healthy"
    assert audit.counts["samples"] == audit.counts["groups"] == audit.counts["pictures"] == COUNT
    assert sum(part["samples"] for part in audit.counts["parts"].values()) == COUNT
    assert audit.counts["skipped"] == {}


def test_result_is_the_contract(clean):
    landmarks, table = clean
    table.loc[0, "part"], table.loc[1, "part"] = "train", "test"
    table.loc[1, "group"] = "s0"
    block = json.loads(json.dumps(run_audit(landmarks, samples=table).to_dict(), allow_nan=False))
    assert set(block) == {"verdict", "counts", "findings"} and block["verdict"] == "sick"
    assert set(block["findings"][0]) == {"rule", "severity", "epoch", "evidence", "causes", "remedy"}
    assert block["findings"][0]["rule"] == "group_leakage" and block["findings"][0]["epoch"] is None
    assert "s0" in block["findings"][0]["evidence"]


def test_without_split_or_pictures_the_rest_still_runs(clean):
    audit = run_audit(clean[0], images=False)
    assert audit.verdict == "healthy"
    assert set(audit.counts["skipped"]) == {
        "parts", "group_leakage", "shared_pictures", "pictures", "duplicates", "balance", "coverage",
    }  # fmt: skip
    assert audit.counts["skipped"]["duplicates"] == ["images"]


@pytest.mark.parametrize(
    ("parts", "rule", "severity"),
    [
        (["train"] * 60, "empty_part", "sick"),
        (["train"] * 30 + ["test"] * 30, "empty_part", "warning"),
        (["validation"] * 30 + ["test"] * 30, "empty_part", "sick"),
        (["train"] * 10 + ["validation"] * 20 + ["test"] * 30, "small_part", "warning"),
        (["train"] * 41 + ["validation"] * 10 + ["test"] * 9, "few_groups", "warning"),
    ],
)
def test_parts(clean, parts, rule, severity):
    table = pd.DataFrame({"group": clean[1]["group"], "part": parts})
    audit = run_audit(clean[0], samples=table, images=False, checks=[parts_check.CHECK])
    assert (rule, severity) in [(f.rule, f.severity) for f in audit.findings]


def split_of(table: pd.DataFrame, *rows: tuple[int, str]) -> pd.DataFrame:
    for row, part in rows:
        table.loc[row, "part"] = part
    return table


@pytest.mark.parametrize(("part", "rule"), [("train", "duplicate_image"), ("test", "duplicate_image_across_parts")])
def test_exact_copies(clean, tmp_path, part, rule):
    landmarks, table = clean
    (tmp_path / "again.png").write_bytes(landmarks[3].image_path.read_bytes())
    landmarks = changed(landmarks, 9, image="again.png", image_path=tmp_path / "again.png")
    said = findings(run_audit(landmarks, samples=split_of(table, (3, "train"), (9, part))))
    assert "w3.png = again.png" in said.pop(rule)
    assert not any("duplicate" in other for other in said)


@pytest.mark.parametrize(
    ("part", "rule"), [("train", "near_duplicate_image"), ("test", "near_duplicate_image_across_parts")]
)
def test_recompressed_smaller_brighter_copies(clean, tmp_path, part, rule):
    landmarks, table = clean
    for row, name in ((8, "again.jpg"), (9, "small.png"), (10, "bright.png")):
        original = Image.open(landmarks[3].image_path)
        if name == "small.png":
            original = original.resize((80, 60))
        if name == "bright.png":
            original = original.point(lambda v: 255 * (v / 255) ** 0.7)
        original.save(tmp_path / name, **({"quality": 50} if name.endswith("jpg") else {}))
        landmarks = changed(landmarks, row, image=name, image_path=tmp_path / name, image_size=None)
    table = split_of(table, (3, "train"), *((row, part) for row in (8, 9, 10)))
    said = findings(run_audit(landmarks, samples=table))[rule]
    for name in ("again.jpg", "small.png", "bright.png"):
        assert f"w3.png = {name}" in said


def test_repeats_are_offered_not_blamed(clean):
    landmarks, table = clean
    rng = np.random.default_rng(5)
    again = [replace(s, points=s.points + rng.normal(0, 1, (8, 2))) for s in landmarks.specimens[:12]]
    both = replace(landmarks, specimens=[*landmarks.specimens, *again])
    audit = run_audit(both, samples=pd.concat([table, table[:12]], ignore_index=True))
    assert list(findings(audit)) == ["digitised_twice"] and audit.verdict == "healthy"
    assert "12 pairs" in audit.findings[0].evidence
    other_names = table[:12].assign(group=[f"other{i}" for i in range(12)])
    said = findings(run_audit(both, samples=pd.concat([table, other_names], ignore_index=True)))
    assert "s0 / other0" in said["repeat_in_two_groups"]


def test_several_animals_on_one_picture(clean):
    landmarks, table = clean
    apart = replace(landmarks[0], id="second", points=landmarks[0].points * 0.3 + [100, 75])
    both = replace(landmarks, specimens=[*landmarks.specimens, apart])
    row = {"sample": "second", "group": "second", "part": "test"}
    table = pd.concat([split_of(table, (0, "train")), pd.DataFrame([row])], ignore_index=True)
    said = findings(run_audit(both, samples=table))
    assert "w0.png" in said["picture_in_two_parts"] and "digitised_twice" not in said


def test_copied_coordinates_and_double_clicks(clean):
    landmarks, table = clean
    points = landmarks[4].points.copy()
    points[6] = points[2]
    landmarks = changed(landmarks, 4, points=points)
    landmarks = changed(landmarks, 7, points=landmarks[5].points.copy())
    said = findings(run_audit(landmarks, samples=table, images=False))
    assert "s5 = s7" in said["same_coordinates"]
    assert "s4 (p2 and p6)" in said["coincident_landmarks"]


def test_missing_landmarks(clean):
    landmarks, table = clean
    points = landmarks.array()
    points[:3, 1] = np.nan
    audit = run_audit(landmarks.with_points(points), samples=table, images=False)
    assert audit.verdict == "healthy" and "p1 5%" in audit.findings[0].evidence
    points[:20, 1] = np.nan
    points[:, 5] = np.nan
    points[30] = np.nan
    said = findings(run_audit(landmarks.with_points(points), samples=table, images=False))
    assert said["missing_landmarks"].startswith("warning") and "p1 34%" in said["missing_landmarks"]
    assert said["landmark_never_seen"].startswith("sick") and "p5" in said["landmark_never_seen"]
    assert "s30" in said["specimen_without_landmarks"]


def test_landmarks_outside_and_other_size(clean):
    landmarks, table = clean
    moved = changed(landmarks, 6, points=landmarks[6].points + [70, 0])
    said = findings(run_audit(moved, samples=table))
    assert said["landmarks_outside"].startswith("warning") and "s6" in said["landmarks_outside"]
    doubled = landmarks.with_points(2 * landmarks.array())
    assert findings(run_audit(doubled, samples=table))["landmarks_outside"].startswith("sick")
    said = findings(run_audit(changed(landmarks, 6, image_size=(240, 320)), samples=table))
    assert "s6 (labels say 320 x 240, picture 160 x 120 px)" in said["image_size_differs"]


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (lambda p: p[[0, 4, 2, 3, 1, 5, 6, 7]], "as if p1 and p4 were swapped"),
        (lambda p: p * [-1, 1] + [160, 0], "as if mirrored"),
        (lambda p: p[::-1], "as if"),
    ],
    ids=["swap", "mirror", "reverse"],
)
def test_shape_outliers_and_their_cause(clean, change, hint):
    landmarks, table = clean
    said = findings(run_audit(changed(landmarks, 11, points=change(landmarks[11].points)), samples=table, images=False))
    assert "s11" in said["shape_outlier"] and hint in said["shape_outlier"]
    assert "1 specimen " in said["shape_outlier"]


def test_one_displaced_landmark_of_few_is_named(clean):
    landmarks, table = clean
    points = landmarks[20].points.copy()
    points[3] += [0, 14]
    said = findings(run_audit(changed(landmarks, 20, points=points), samples=table, images=False))
    assert re.search(r"1 landmark .*s20 p3 \(\d+ x\)", said["stray_landmark"])


def test_stray_landmarks_of_many():
    rng = np.random.default_rng(4)
    mean = np.stack(np.meshgrid(np.arange(10) * 9.0, np.arange(6) * 9.0), -1).reshape(-1, 2) + rng.normal(0, 1, (60, 2))
    points = mean + rng.normal(0, 1, (50, 60, 2))
    points[7, 13] += [-7, 7]
    points[9, [2, 3]] = points[9, [3, 2]]
    specimens = [Specimen(one, id=f"s{i}") for i, one in enumerate(points)]
    said = findings(run_audit(LandmarkSet(specimens, [f"p{i}" for i in range(60)])))
    assert list(said) == ["stray_landmark"]
    assert "s7 p13 (" in said["stray_landmark"]
    assert re.search(r"s9 p[23] \(\d+ x, as if swapped with p[23]\)", said["stray_landmark"])


def test_no_false_alarm_in_clean_shapes():
    rng = np.random.default_rng(9)
    alarms = 0
    for _ in range(20):
        mean = rng.uniform(0, 100, (10, 2))
        points = mean + rng.normal(0, 2, (80, 10, 2))
        specimens = [Specimen(one, id=str(i)) for i, one in enumerate(points)]
        alarms += len(run_audit(LandmarkSet(specimens, [f"p{i}" for i in range(10)])).findings)
    assert alarms == 0  # 1600 specimens, 16000 landmarks


def test_scales(clean):
    landmarks, table = clean
    said = findings(run_audit(changed(landmarks, 2, scale=1.0), samples=table, images=False))
    assert "10.0-fold" in said["scale_inconsistent"] and "s2" in said["scale_inconsistent"]
    assert "cm (1)" in findings(run_audit(changed(landmarks, 2, unit="cm"), samples=table, images=False))["mixed_units"]
    assert "s2" in findings(run_audit(changed(landmarks, 2, scale=None), samples=table, images=False))["scale_missing"]
    assert (
        "s2" in findings(run_audit(changed(landmarks, 2, scale=0.0), samples=table, images=False))["scale_not_positive"]
    )


def test_pictures_unreadable_empty_missing_and_mixed(clean, tmp_path):
    landmarks, table = clean
    whole = landmarks[0].image_path.read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(np.full(SIZE, 9, np.uint8)).save(tmp_path / "flat.png")
    Image.fromarray(np.asarray(Image.open(landmarks[2].image_path)).astype(np.uint16) * 200).save(tmp_path / "deep.png")
    Image.open(landmarks[3].image_path).resize((320, 240)).save(tmp_path / "large.png")
    for i, name in enumerate(("cut.png", "flat.png", "deep.png", "large.png")):
        landmarks = changed(landmarks, i, image=name, image_path=tmp_path / name, image_size=None)
    landmarks = changed(landmarks, 4, image_path=None)
    said = findings(run_audit(landmarks, samples=table))
    assert "cut.png" in said["unreadable_image"] and said["unreadable_image"].startswith("sick")
    assert "flat.png" in said["constant_image"]
    assert "s4" in said["missing_image"]
    assert "320 x 240 px (1)" in said["mixed_image_size"]
    assert "16 bit grey (1)" in said["mixed_image_depth"]


@pytest.mark.parametrize("column", ["sex", "grade", "age", "date"])
def test_imbalance_over_parts(clean, column):
    landmarks, table = clean
    test = (table["part"] == "test").to_numpy()
    if column in ("sex", "grade"):
        values = np.where(test, "f", "m") if column == "sex" else np.where(test, "bad", "good")
        for i, value in enumerate(values):
            landmarks = changed(landmarks, i, attributes=landmarks[i].attributes | {column: str(value)})
    else:
        early, late = ("1.5", "7.5") if column == "age" else ("2023-04-01", "2024-09-30")
        own = table[column].to_numpy(dtype=object)
        table[column] = [late if t else early if i % 2 else own[i] for i, t in enumerate(test)]
    said = findings(run_audit(landmarks, samples=table, images=False))
    assert said["grade_imbalance" if column == "grade" else "metadata_imbalance"].startswith(f"warning: {column} is")
    assert ("stratum_not_trained" in said) == (column in ("sex", "grade"))


def test_random_splits_seldom_look_unbalanced(clean):
    landmarks, table = clean
    rng = np.random.default_rng(2)
    alarms = 0
    for _ in range(20):
        table["part"] = rng.permutation(table["part"])
        audit = run_audit(landmarks, samples=table, images=False, checks=[balance.CHECK])
        alarms += "metadata_imbalance" in findings(audit)
    assert alarms <= 2  # 1 % is allowed for all columns together


def test_untrained_stratum(clean):
    landmarks, table = clean
    table.loc[table["part"] == "test", "site"] = ["island"] * 3 + ["north"] * int((table["part"] == "test").sum() - 3)
    assert "island (3 groups)" in findings(run_audit(landmarks, samples=table, images=False))["stratum_not_trained"]


def test_table_is_looked_up_by_name(clean):
    landmarks, table = clean
    some = landmarks.subset(range(50))
    shuffled = table.sample(frac=1, random_state=0)
    data = run_audit(some, samples=shuffled, images=False).data
    assert data.parts == list(table["part"][:50])
    with pytest.raises(LabelError, match="s49"):
        run_audit(some, samples=table[:49], images=False)


def test_other_rooms_can_add_checks_with_their_own_facts():
    def short(data: AuditData) -> list:
        bad = [name for name, frames in data.facts["clips"].items() if frames < 10]
        return [found("short_clip", "warning", f"{bad}", remedy="cut them longer")] if bad else []

    check = Check("short_clips", frozenset({"clips"}), short)
    assert findings(run_audit(None, facts={"clips": {"a": 5, "b": 50}}, checks=[check])) == {
        "short_clip": "warning: ['a']"
    }
    assert run_audit(None, checks=[check]).counts["skipped"] == {"short_clips": ["clips"]}


def test_empty_and_odd_sets_do_not_crash():
    assert run_audit(LandmarkSet([], ["a"])).counts["samples"] == 0
    nothing = LandmarkSet([Specimen(np.full((3, 2), np.nan), id=str(i)) for i in range(12)], ["a", "b", "c"])
    assert "landmark_never_seen" in findings(run_audit(nothing))
    spot = LandmarkSet([Specimen(np.ones((3, 2)), id=str(i)) for i in range(12)], ["a", "b", "c"])
    assert "same_coordinates" in findings(run_audit(spot))
    solid = np.random.default_rng(0).normal(size=(6, 3)) + np.random.default_rng(1).normal(0, 0.05, (15, 6, 3))
    assert (
        run_audit(
            LandmarkSet([Specimen(p, id=str(i)) for i, p in enumerate(solid)], list("abcdef"), frame="lps")
        ).verdict
        == "healthy"
    )


def test_figure_shows_the_suspects(clean, tmp_path):
    landmarks, table = clean
    Image.open(landmarks[3].image_path).save(tmp_path / "again.jpg", quality=60)
    landmarks = changed(landmarks, 9, image="again.jpg", image_path=tmp_path / "again.jpg")
    landmarks = changed(landmarks, 11, points=landmarks[11].points[[0, 4, 2, 3, 1, 5, 6, 7]])
    points = landmarks.array()
    points[:9, 2] = np.nan
    figure = draw_audit(run_audit(landmarks.with_points(points), samples=table), tmp_path / "audit.png")
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert any("twice" in title for title in titles) and any("swapped" in title for title in titles)
    assert Image.open(tmp_path / "audit.png").size[0] > 600
    draw_audit(run_audit(clean[0], samples=table, images=False), tmp_path / "clean.png")
    assert (tmp_path / "clean.png").stat().st_size > 1000


def test_fly_wings_raise_no_alarm(shared_data):
    from ethomorph.formats.registry import read_landmarks

    wings = read_landmarks(shared_data / "fly-wings" / "landmarks.tps", images=shared_data / "fly-wings" / "images")
    assert run_audit(wings).findings == []


def test_lizards_with_a_ruler_elsewhere_and_a_double_click_are_named(shared_data):
    from ethomorph.formats.registry import read_landmarks

    folder = shared_data / "lizard-xray"
    audit = run_audit(read_landmarks(folder / "combined-manual.tps", gaps="missing"), images=False)
    assert "0028_dorsal.jpg (33 and 34)" in findings(audit)["coincident_landmarks"]
    combined = findings(run_audit(read_landmarks(folder / "combined.tps", gaps="missing"), images=False))
    assert "13_29_14_1-3.jpg" in combined["shape_outlier"]
    assert "mostly" in combined["shape_outlier"]  # the two ends of the bar, which lies elsewhere in these
