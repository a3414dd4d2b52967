"""Pictures are found by exact file name, and doubt is reported."""

from __future__ import annotations

import pytest
from PIL import Image

from ethomorph.core.errors import ImageError, LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.dlib_xml import read_dlib_xml, write_dlib_xml
from ethomorph.formats.pictures import PictureIndex, find_pictures
from ethomorph.formats.registry import convert, format_for_writing, formats, read_landmarks, write_landmarks


@pytest.fixture
def folder(tmp_path):
    for name in ("left/a.jpg", "right/a.jpg", "left/b 1.png", "c.JPG", "d.tif", "deep/er/e.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (30, 20)).save(path, "TIFF" if name.endswith("tif") else "PNG")
    return tmp_path / "images"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("b 1.png", ["left/b 1.png"]),
        ("train\\b 1.png", ["left/b 1.png"]),
        ("x/y/e.png", ["deep/er/e.png"]),
        ("e.jpg", ["deep/er/e.png"]),
        ("c.jpg", ["c.JPG"]),
        ("d", ["d.tif"]),
        ("a.jpg", ["left/a.jpg", "right/a.jpg"]),
        ("C:\\data\\right\\a.jpg", ["right/a.jpg"]),
        ("../../etc/passwd", []),
        ("b", []),
        ("", []),
        ("..", []),
    ],
)
def test_names(folder, name, found):
    assert [str(p.relative_to(folder)) for p in PictureIndex(folder).find(name)] == found


def test_doubt_and_absence_are_reported(folder):
    def named(*names):
        return LandmarkSet([Specimen([[1, 2]], image=n) for n in names], ["1"])

    with pytest.raises(LabelError, match=r"'a.jpg' fits 2 files"):
        find_pictures(named("a.jpg"), folder)
    some = find_pictures(named("e.png", "z.png"), folder)
    assert [s.image_size for s in some] == [(20, 30), None]
    assert "1 pictures were not found" in some.notes[0]
    assert "z.png" in some.notes[0]
    with pytest.raises(LabelError, match="none of the 1 pictures"):
        find_pictures(named("z.png"), folder)
    with pytest.raises(ImageError, match="no such folder"):
        find_pictures(named("z.png"), folder / "absent")


def test_points_outside_are_noted_and_ids_can_be_names(folder, tmp_path):
    (tmp_path / "wings.csv").write_text("id,x1,y1\ne.png,5,5\nd.tif,5,500\n")
    wings = read_landmarks(tmp_path / "wings.csv", images=folder)
    assert wings[0].points.tolist() == [[5, 15]]
    assert "1 landmarks lie outside their pictures: specimen 2 (d.tif)" in wings.notes


def test_dlib_orders_and_marks(tmp_path):
    parts = "".join(f"<part name='{i}' x='{i}' y='0'/>" for i in sorted(range(12), key=str) if i != 5)
    box = "<box top='1' left='2' width='3' height='4'"
    (tmp_path / "a.xml").write_text(
        f"<dataset><images><image file='t\\a.jpg'>{box}>{parts}</box>{box} ignore='1'/>"
        f"{box}><label>male</label><part name='5' x='7' y='8'/></box></image><image file='b.jpg'/></images></dataset>"
    )
    lizards = read_dlib_xml(tmp_path / "a.xml")
    assert lizards.names == [str(i) for i in range(12)]
    assert lizards[0].points[:, 0].tolist()[6:] == [6, 7, 8, 9, 10, 11]
    assert (len(lizards), lizards[0].box, lizards[1].attributes) == (2, (2, 1, 4, 4), {"label": "male"})
    for words in ("1 boxes are marked ignore", "1 of 2 pictures have no box", "specimen 1 (t\\a.jpg) lacks 1"):
        assert any(words in note for note in lizards.notes)
    write_dlib_xml(lizards, tmp_path / "b.xml")
    written = (tmp_path / "b.xml").read_text()
    assert written.index("name='00'" if "name='00'" in written else 'name="00"') < written.index("10")


def test_dlib_rounds_when_asked(tmp_path):
    lizard = LandmarkSet([Specimen([[1.4, 2.6]], box=(0, 0, 5, 5))], ["0"])
    assert any("refuse to load" in s for s in write_dlib_xml(lizard, tmp_path / "a.xml"))
    assert any("rounded" in s for s in write_landmarks(lizard, tmp_path / "b.xml", whole_pixels=True))
    assert read_dlib_xml(tmp_path / "b.xml")[0].points.tolist() == [[1, 3]]


def test_dlib_itself_loads_what_is_written(folder, tmp_path):
    dlib = pytest.importorskip("dlib")
    points = [[[i + j, 2 * i] for i in range(12)] for j in range(3)]
    image = str(folder / "d.tif")
    Image.new("L", (30, 30)).save(tmp_path / "d.png")
    lizards = LandmarkSet(
        [Specimen(p, image=str(tmp_path / "d.png"), box=(0, 0, 29, 29)) for p in points], [str(i) for i in range(12)]
    )
    write_dlib_xml(lizards, tmp_path / "train.xml", whole_pixels=True)
    options = dlib.shape_predictor_training_options()
    options.cascade_depth, options.num_trees_per_cascade_level, options.nu = 3, 50, 1.0
    dlib.train_shape_predictor(str(tmp_path / "train.xml"), str(tmp_path / "model.dat"), options)
    model = dlib.shape_predictor(str(tmp_path / "model.dat"))
    shape = model(dlib.load_grayscale_image(str(tmp_path / "d.png")), dlib.rectangle(0, 0, 29, 29))
    found = [shape.part(i).y for i in range(12)]  # y is the landmark's number twice: a text order would show
    assert max(abs(y - 2 * i) for i, y in enumerate(found)) <= 2, image


def test_the_suffix_chooses_what_is_written():
    chosen = {
        n: format_for_writing(n).name
        for n in ("a.tps", "a.csv", "a.tidy.csv", "a.dlc.csv", "a.json", "a.mrk.json", "a.slp", "a.h5")
    }
    assert chosen == {
        "a.tps": "tps",
        "a.csv": "csv",
        "a.tidy.csv": "tidy",
        "a.dlc.csv": "deeplabcut",
        "a.json": "coco",
        "a.mrk.json": "slicer",
        "a.slp": "sleap",
        "a.h5": "deeplabcut-h5",
    }
    assert len({f.name for f in formats()}) == len(formats())


def test_three_dimensions_do_not_go_into_two(tmp_path):
    (tmp_path / "a.csv").write_text("id,x1,y1,z1\na,1,2,3\n")
    with pytest.raises(LabelError, match="landmarks are 3-D, dlib XML holds 2-D"):
        convert(tmp_path / "a.csv", tmp_path / "a.xml")
    assert convert(tmp_path / "a.csv", tmp_path / "a.mrk.json")[0].startswith("3-D coordinates")
