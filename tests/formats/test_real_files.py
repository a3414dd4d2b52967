"""Files that labs and programs really wrote: all are read, and two files of one thing agree."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.formats.registry import convert, detect_format, read_landmarks

FIRST_WING = {"tps": (290, 480 - 108), "csv": (290, 480 - 108)}


def test_fly_wings_tps_and_table_agree_with_and_without_pictures(shared_data):
    folder = shared_data / "fly-wings"
    raw = read_landmarks(folder / "landmarks.tps")
    assert (len(raw), len(raw.names), raw.frame) == (40, 12, "y_up")
    tps = read_landmarks(folder / "landmarks.tps", images=folder / "images")
    table = read_landmarks(folder / "landmarks.csv", images=folder / "images")
    assert tps.frame == table.frame == "image"
    np.testing.assert_array_equal(tps.array(), table.array())
    np.testing.assert_array_equal(tps[0].points[0], FIRST_WING["tps"])
    np.testing.assert_array_equal(tps.array()[..., 1], 480 - raw.array()[..., 1])
    assert all(s.image_size == (480, 632) and s.image_path.name == s.image for s in tps)


def test_convert_there_and_back_is_exact(shared_data, tmp_path):
    source = shared_data / "fly-wings" / "landmarks.tps"
    images = shared_data / "fly-wings" / "images"
    said = convert(source, tmp_path / "wings.xml", images=images)
    assert any("ids" in sentence for sentence in said)
    assert any("box" in sentence for sentence in said)
    convert(tmp_path / "wings.xml", tmp_path / "wings.tps", images=images)
    np.testing.assert_allclose(
        read_landmarks(tmp_path / "wings.tps").array(), read_landmarks(source).array(), atol=1e-9
    )
    with pytest.raises(LabelError, match=r"height of '63001.jpg' is not known"):
        convert(source, tmp_path / "no.xml")
    assert not (tmp_path / "no.xml").exists()


def test_lizards_of_other_counts_are_named(shared_data):
    path = shared_data / "lizard-xray" / "combined.tps"
    with pytest.raises(LabelError, match=r"the scheme has 34 landmarks") as refused:
        read_landmarks(path)
    for number, count in [(2, 33), (19, 35), (55, 33), (73, 32), (175, 32), (178, 32), (278, 33)]:
        assert f"specimen {number} (" in str(refused.value)
        assert f"): {count}" in str(refused.value)
    filled = read_landmarks(path, gaps="missing")
    assert len(filled) == 372
    assert [i + 1 for i, s in enumerate(filled) if not s.visible.all()] == [2, 19, 55, 73, 175, 178, 278]


def test_lizard_xml_is_the_tps_turned(shared_data):
    folder = shared_data / "lizard-xray"
    tps = {s.image: s.points for s in read_landmarks(folder / "combined.tps", gaps="missing")}
    xml = read_landmarks(folder / "train.xml")
    assert (len(xml), xml.names, xml.frame) == (227, [str(i) for i in range(34)], "image")
    points = np.stack([tps[specimen.image.split("\\")[-1]] for specimen in xml])
    turned = np.stack([points[..., 0], 2944 - points[..., 1]], axis=-1)
    assert np.abs(xml.array() - turned).max() < 1  # ml-morph cuts off decimals
    assert xml[0].box == (1, 1, 2350, 2942)


def test_pictures_that_are_not_there_are_listed(shared_data):
    folder = shared_data / "lizard-xray"
    with pytest.raises(LabelError, match="259 of 260 pictures not found"):
        read_landmarks(folder / "subset_manual.tps", images=folder / "images")
    kept = read_landmarks(folder / "subset_manual.tps", images=folder / "images", unmatched="leave_out")
    assert [s.image for s in kept] == ["0003_dorsal.jpg"]
    assert any("259 specimens are left out" in note for note in kept.notes)


@pytest.mark.parametrize(
    ("name", "shape", "attributes"),
    [
        ("plethodon", (40, 12, 2), {"species": "Jord", "site": "Symp"}),
        ("rats_vilmann", (144, 8, 2), {"individual": "1", "age_days": "7"}),
        ("mosquito", (40, 18, 2), {"individual": "1", "side": "1", "replicate": "1"}),
        ("lizards", (98, 28, 2), {"centroid_size": "23.02582429", "individual": "29", "rep": "1"}),
        ("macaques", (18, 7, 3), {"sex": "m"}),
        ("hummingbirds", (44, 25, 2), {}),
    ],
)
def test_published_tables(shared_data, name, shape, attributes):
    table = read_landmarks(shared_data / "shape-tables" / f"{name}.csv")
    assert table.array().shape == shape
    assert table[0].attributes == attributes
    assert table[0].id == f"{name}_001"
    assert np.isfinite(table.array()).all()


def test_ras_and_lps_of_one_skull_agree(shared_data):
    folder = shared_data / "ape-skulls" / "template"
    lps = read_landmarks(folder / "Gorilla_template_LM1.json")
    ras = read_landmarks(folder / "Gorilla_template_LM1.fcsv")
    assert lps.frame == ras.frame == "lps"
    np.testing.assert_allclose(lps.array(), ras.array(), atol=1e-3)
    assert np.abs(lps.array()[..., 0]).min() > 1  # else the sign would not be tested


@pytest.mark.parametrize(
    ("folder", "shape"),
    [
        ("ape-skulls/gorilla_41lm", (23, 41, 3)),
        ("ape-skulls/large_apes_41lm", (51, 41, 3)),
        ("mouse-skull-landmarks/adult_126", (126, 55, 3)),
    ],
)
def test_a_folder_of_slicer_files_is_a_set(shared_data, folder, shape):
    skulls = read_landmarks(shared_data / folder)
    assert skulls.array().shape == shape
    assert len({s.id for s in skulls}) == shape[0]


def test_old_and_new_fcsv_headers(shared_data):
    assert len(read_landmarks(shared_data / "mouse-skull-landmarks" / "4074_S_lm1.fcsv").names) == 55
    patch = read_landmarks(shared_data / "ape-skulls/gorilla_patch_semilandmarks/sample_batch/USNM176209_patch.fcsv")
    np.testing.assert_allclose(patch[0].points[0], [-136.35755920410156, -338.5686950683594, -78.25579071044922])


def test_deeplabcut_csv_and_h5_agree(shared_data):
    folder = shared_data / "pose-openfield" / "labeled-data" / "m4s1"
    csv, h5 = read_landmarks(folder / "CollectedData_Pranav.csv"), read_landmarks(folder / "CollectedData_Pranav.h5")
    assert csv.array().shape == (80, 4, 2)
    assert csv.names == h5.names == ["snout", "leftear", "rightear", "tailbase"]
    assert [s.image for s in csv] == [s.image for s in h5]
    np.testing.assert_allclose(csv.array(), h5.array(), rtol=1e-12)
    assert read_landmarks(folder / "CollectedData_Pranav.csv", images=folder)[0].image_size == (480, 640)


def test_pandas_opens_the_h5_that_is_written(shared_data, tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    source = shared_data / "pose-openfield" / "labeled-data" / "m4s1" / "CollectedData_Pranav.h5"
    convert(source, tmp_path / "back.h5")
    pandas.testing.assert_frame_equal(
        pandas.read_hdf(source), pandas.read_hdf(tmp_path / "back.h5"), check_names=False, check_column_type=False
    )


def test_mirror_mouse_keeps_its_gaps(shared_data):
    mouse = read_landmarks(shared_data / "pose-mirror-mouse" / "CollectedData.csv")
    assert mouse.array().shape == (90, 17, 2)
    assert round(float(np.isnan(mouse.array()).mean()), 3) == 0.088


@pytest.mark.parametrize("version", ["", "_v2"])
def test_multi_animal_deeplabcut_headers(shared_data, version):
    folder = shared_data / "pose-sleap" / "madlc-labels" / "labeled-data" / "video"
    animals = read_landmarks(folder / f"maudlc_testdata{version}.csv")
    assert animals.names == ["A", "B", "C", "D", "E"]
    first = {s.id: s for s in animals if s.image == "labeled-data/video/img000.png"}
    assert set(first) == {"Animal1", "Animal2"}
    np.testing.assert_array_equal(first["Animal2"].points[:3], [[6, 7], [8, 9], [10, 11]])
    assert any("shorter than the header" in note for note in animals.notes)


@pytest.mark.parametrize("kind", ["single", "multi", "madlc"])
def test_predictions_are_what_pandas_reads(shared_data, kind):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("tables")
    suffix = "" if kind == "single" else f"_{kind}"
    folder = shared_data / "pose-formats" / f"test_{kind}_topview"
    tables = {
        f"testDLC_csv_table{suffix}.csv": lambda p: pandas.read_csv(
            p, header=list(range(4 if kind == "madlc" else 3)), index_col=0
        ),
        f"testDLC_h5_table{suffix}.h5": pandas.read_hdf,
    }
    for name, load in tables.items():
        frame = load(folder / name)
        for specimen in read_landmarks(folder / name):
            row = frame.loc[int(specimen.attributes["frame"])]
            if kind == "madlc":
                row = row[row.index.get_level_values(1) == specimen.id]
            expected = row.to_numpy().reshape(-1, 3)
            absent = (expected == 0).all(axis=1)
            np.testing.assert_array_equal(specimen.visible, ~absent & np.isfinite(expected).all(axis=1))
            np.testing.assert_array_equal(specimen.points[specimen.visible], expected[specimen.visible, :2])
            np.testing.assert_array_equal(specimen.confidence, expected[:, 2])


def test_sleap_tracks_and_frames(shared_data):
    clip = read_landmarks(shared_data / "pose-sleap" / "clip.slp")
    assert (len(clip), len(clip.names)) == (3000, 13)
    assert {s.id for s in clip} == {"male", "female"}
    assert {int(s.attributes["frame"]) for s in clip} == set(range(1500))


def test_every_coco_set_is_read(shared_data):
    counts = {}
    for path in sorted((shared_data / "pose-coco-animals").rglob("*.json")):
        found = read_landmarks(path, images=path.parent)
        counts[path.parent.name] = len(found.names)
        assert all(s.image_path is not None and s.box is not None for s in found)
        assert not [note for note in found.notes if "outside" in note]
    assert counts == {
        "ak": 23,
        "animalpose": 20,
        "ap10k": 17,
        "atrw": 15,
        "fly": 32,
        "horse10": 22,
        "locust": 35,
        "macaque": 17,
        "zebra": 9,
    }


def test_tables_that_are_no_landmarks_are_refused(shared_data):
    with pytest.raises(FormatError, match=r"hummingbirds_sliders.csv: is in no landmark format"):
        read_landmarks(shared_data / "shape-tables" / "hummingbirds_sliders.csv")
    assert detect_format(shared_data / "shape-tables" / "apes.csv").name == "csv"
