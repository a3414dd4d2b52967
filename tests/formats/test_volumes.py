"""Volumes there and back in every format, against SimpleITK, nibabel and slicerio, and damaged ones refused."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ethomorph.cli.app import execute
from ethomorph.core.errors import FormatError, InputError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume, Segment
from ethomorph.formats.dicom_series import read_dicom_series, write_dicom_series
from ethomorph.formats.nrrd import read_nrrd, write_nrrd
from ethomorph.formats.seg_nrrd import read_seg_nrrd, write_seg_nrrd
from ethomorph.formats.tiff_stack import read_tiff_stack, write_tiff_stack
from ethomorph.formats.volumes import read_image, read_labels, write_volume

C, S = np.cos(0.4), np.sin(0.4)
TURNED = ((C, -S, 0.0), (S, C, 0.0), (0.0, 0.0, 1.0))
FLIPPED = ((-1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, 1.0))
GRID = Grid((5, 6, 7), (0.5, 0.7, 1.25), (10.0, -20.0, 30.5), TURNED)


def a_volume(dtype="uint16", grid=GRID) -> ScalarVolume:
    rng = np.random.default_rng(0)
    if np.dtype(dtype).kind == "f":
        return ScalarVolume(rng.normal(size=grid.shape).astype(dtype), grid)
    top = np.iinfo(dtype)
    return ScalarVolume(rng.integers(top.min, top.max, grid.shape, dtype=dtype, endpoint=True), grid)


def a_segmentation(layers=1, kind=np.uint8) -> LabelVolume:
    rng = np.random.default_rng(1)
    array = rng.integers(0, 4, (layers, *GRID.shape)).astype(kind)
    segments = [
        Segment("LowerJaw", 1, id="S1", color=(0.5, 0.25, 1.0), status="completed",
                terminology="c~SCT^1^a~SCT^2^b~^^~x~^^~^^"),
        Segment("Tooth_L_001", 2, id="S2", color=(0.1, 0.2, 0.3), tags={"Some": "thing"}, name_generated=True),
        Segment("Ŝranek", 3, id="S3", color_generated=True),
    ]  # fmt: skip
    for layer in range(1, layers):
        segments += [Segment(f"over {layer} {v}", v, layer=layer, id=f"L{layer}{v}") for v in (1, 2, 3)]
    reference = Grid((9, 9, 9), GRID.spacing, tuple(GRID.to_lps([-1, -2, -3])), TURNED)
    return LabelVolume(array, GRID, tuple(segments), reference)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii", ".nii.gz", ".mha", ".mhd"])
@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32"])
def test_images_come_back_equal(tmp_path, suffix, dtype):
    volume = a_volume(dtype)
    assert write_volume(volume, tmp_path / f"a{suffix}") == []
    back = read_image(tmp_path / f"a{suffix}")
    assert back.array.dtype == np.dtype(dtype)
    assert np.array_equal(back.array, volume.array)
    assert back.grid.is_same(volume.grid)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(*[st.integers(1, 6)] * 3), st.tuples(*[st.floats(1e-3, 1e3)] * 3),
    st.sampled_from(["uint8", "int8", "uint16", "int64", "float64"]), st.floats(-3, 3),
)  # fmt: skip
def test_nrrd_round_trip(tmp_path_factory, shape, spacing, dtype, angle):
    c, s = np.cos(angle), np.sin(angle)
    volume = a_volume(dtype, Grid(shape, spacing, (1, 2, 3), ((c, 0, s), (0, 1, 0), (-s, 0, c))))
    path = tmp_path_factory.mktemp("n") / "a.nrrd"
    for compress in (True, False):
        write_nrrd(volume, path, compress=compress)
        back = read_nrrd(path)
        assert np.array_equal(back.array, volume.array)
        assert np.allclose(back.grid.matrix, volume.grid.matrix, rtol=0, atol=1e-12 * max(spacing))


def test_simpleitk_sees_the_same_in_what_is_written(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    volume = a_volume("int16")
    for suffix in (".nrrd", ".nii.gz", ".mha"):
        write_volume(volume, tmp_path / f"a{suffix}")
        image = sitk.ReadImage(str(tmp_path / f"a{suffix}"))
        assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
        assert np.allclose(image.TransformIndexToPhysicalPoint((1, 2, 3)), volume.grid.to_lps([1, 2, 3]), atol=1e-4)
        sitk.WriteImage(image, str(tmp_path / f"b{suffix}"), True)
        again = read_image(tmp_path / f"b{suffix}")
        assert np.array_equal(again.array, volume.array)
        assert again.grid.is_same(volume.grid)


def test_nrrd_of_other_writers(tmp_path):
    nrrd = pytest.importorskip("nrrd")
    array = a_volume("uint16").array
    header = {"space": "right-anterior-superior", "space directions": np.diag([-0.5, -0.7, 1.25]),
              "space origin": [-1.0, -2.0, 3.0]}  # fmt: skip
    for encoding in ("raw", "gzip", "bzip2", "ascii"):
        nrrd.write(str(tmp_path / "a.nrrd"), array.transpose(2, 1, 0), header | {"encoding": encoding})
        back = read_nrrd(tmp_path / "a.nrrd")
        assert np.array_equal(back.array, array)
        assert np.allclose(back.grid.to_lps([1, 1, 1]), [1.5, 2.7, 4.25])
    nrrd.write(str(tmp_path / "a.nhdr"), array.transpose(2, 1, 0), header)
    assert np.array_equal(read_nrrd(tmp_path / "a.nhdr").array, array)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("crop", [False, True])
def test_segmentations_come_back_with_every_key(tmp_path, layers, crop):
    labels = a_segmentation(layers)
    path = tmp_path / "a.seg.nrrd"
    write_seg_nrrd(labels, path, crop=crop)
    back = read_seg_nrrd(path)
    assert back.is_same(labels) or crop
    for before, after in zip(labels.segments, back.segments, strict=True):
        assert (after.name, after.value, after.layer, after.id) == (before.name, before.value, before.layer, before.id)
        assert (after.status, after.tags, after.name_generated) == (before.status, before.tags, before.name_generated)
        assert np.allclose(after.color, before.color, atol=1e-5)
        assert after.terminology == before.terminology or not before.terminology
    assert back.reference.is_same(labels.reference)
    assert back.header["Segmentation_ReferenceImageExtentOffset"] == "1 2 3"


def test_a_crop_is_where_it_was(tmp_path):
    labels = a_segmentation()
    array = np.zeros_like(labels.layers)
    array[0, 2:4, 3:5, 1:6] = 2
    from dataclasses import replace

    write_seg_nrrd(replace(labels, layers=array), tmp_path / "a.seg.nrrd", crop=True)
    back = read_seg_nrrd(tmp_path / "a.seg.nrrd")
    assert back.grid.shape == (2, 2, 5)
    assert back.header["Segmentation_ReferenceImageExtentOffset"] == "2 5 5"
    assert np.array_equal(back.on(GRID).layers, array)


@pytest.mark.parametrize("layers", [1, 2])
def test_slicerio_reads_the_same(tmp_path, layers):
    slicerio = pytest.importorskip("slicerio")
    labels = a_segmentation(layers)
    write_seg_nrrd(labels, tmp_path / "a.seg.nrrd")
    theirs = slicerio.read_segmentation(str(tmp_path / "a.seg.nrrd"))
    ours = np.squeeze(labels.layers.transpose(0, 3, 2, 1), 0) if layers == 1 else labels.layers.transpose(0, 3, 2, 1)
    assert np.array_equal(theirs["voxels"], ours)
    assert np.allclose(theirs["ijkToLPS"], GRID.matrix)
    for one, segment in zip(theirs["segments"], labels.segments, strict=True):
        assert (one["name"], one["labelValue"], one["layer"], one["id"]) == (
            segment.name.encode("ascii", "ignore").decode(), segment.value, segment.layer, segment.id,
        )  # fmt: skip
        assert one.get("status", "") == segment.status
        assert one["extent"] == [0, 6, 0, 5, 0, 4]


def test_slicer_segmentations_are_kept_to_the_letter(tmp_path, shared_data):
    slicerio = pytest.importorskip("slicerio")
    folder = shared_data / "slicer-ct-seg"
    for name in ("Segmentation.seg.nrrd", "SegmentationOverlapping.seg.nrrd"):
        labels = read_labels(folder / name)
        write_volume(labels, tmp_path / name)
        before, after = (slicerio.read_segmentation(str(f / name)) for f in (folder, tmp_path))
        assert np.array_equal(before["voxels"], after["voxels"])
        for a, b in zip(before["segments"], after["segments"], strict=True):
            assert {k: v for k, v in a.items() if k != "extent"} == {k: v for k, v in b.items() if k != "extent"}
        assert before["conversionParameters"] == after["conversionParameters"]
        assert labels.reference.is_same(read_image(folder / "CTChest4.nrrd").grid)


def test_the_real_volumes_are_read_written_and_read_back(tmp_path, shared_data):
    images = [shared_data / "slicer-ct-seg/CTChest4.nrrd", shared_data / "ct-organs/example_ct.nii.gz",
              shared_data / "mouse-skull-ct/atlas/low_res_skull_only.nii.gz",
              *sorted((shared_data / "mouse-skull-ct/volumes").glob("*.nii.gz"))[:3]]  # fmt: skip
    for path in images:
        volume = read_image(path)
        for suffix in (".nrrd", ".nii.gz"):
            write_volume(volume, tmp_path / f"a{suffix}")
            back = read_image(tmp_path / f"a{suffix}")
            assert back.array.dtype == volume.array.dtype
            assert np.array_equal(back.array, volume.array)
            assert back.grid.is_same(volume.grid)


def test_labels_of_the_organs_keep_their_names_everywhere(tmp_path, shared_data):
    labels = read_labels(shared_data / "ct-organs/example_seg.nii.gz")
    assert "spleen" in labels.names and "liver" in labels.names
    image = read_image(shared_data / "ct-organs/example_ct_sm.nii.gz")
    assert labels.grid.is_same(image.grid)
    for name in ("a.seg.nrrd", "b.nii.gz"):
        write_volume(labels, tmp_path / name)
        assert read_labels(tmp_path / name).is_same(labels)


def test_nifti_agrees_with_nibabel_on_where_a_voxel_is(shared_data):
    nibabel = pytest.importorskip("nibabel")
    path = sorted((shared_data / "mouse-skull-ct/volumes").glob("*.nii.gz"))[0]
    volume, theirs = read_image(path), nibabel.load(path)
    ras = nibabel.affines.apply_affine(theirs.affine, [3, 4, 5])
    assert np.allclose(volume.grid.to_lps([3, 4, 5]), ras * [-1, -1, 1], atol=1e-5)
    assert volume.array[5, 4, 3] == np.asanyarray(theirs.dataobj)[3, 4, 5]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_dicom_series_round_trip_in_any_order(tmp_path, dtype):
    volume = a_volume(dtype)
    write_dicom_series(volume, tmp_path / "s")
    files = sorted((tmp_path / "s").iterdir())
    files[0].rename(tmp_path / "s" / "zz.dcm")
    back = read_dicom_series(tmp_path / "s")
    assert back.array.dtype == np.dtype(dtype)
    assert np.array_equal(back.array, volume.array)
    assert back.grid.is_same(volume.grid)
    files[2].unlink()
    with pytest.raises(FormatError, match=r"1 slice\(s\) are missing"):
        read_dicom_series(tmp_path / "s")


def test_simpleitk_reads_our_dicom_alike(tmp_path):
    sitk = pytest.importorskip("SimpleITK")
    volume = a_volume("uint16")
    write_dicom_series(volume, tmp_path / "s")
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s")))
    image = reader.Execute()
    assert np.array_equal(sitk.GetArrayFromImage(image), volume.array)
    assert np.allclose(image.TransformIndexToPhysicalPoint((1, 2, 3)), GRID.to_lps([1, 2, 3]), atol=1e-4)


def test_tiff_slices_in_natural_order_with_means(tmp_path):
    import tifffile

    array = np.random.default_rng(2).integers(0, 65535, (12, 8, 10)).astype(np.uint16)
    (tmp_path / "s").mkdir()
    for i, plane in enumerate(array):
        tifffile.imwrite(tmp_path / "s" / f"head_rec{i + 1}.tif", plane)
    back = read_tiff_stack(tmp_path / "s", spacing=(0.1, 0.1, 0.2))
    assert back.array.dtype == np.uint16 and np.array_equal(back.array, array)
    half = read_tiff_stack(tmp_path / "s", spacing=(0.1, 0.1, 0.2), downsample=2)
    means = array.reshape(6, 2, 4, 2, 5, 2).mean(axis=(1, 3, 5))
    assert np.abs(half.array - means).max() <= 0.5 and half.array.dtype == np.uint16
    assert half.grid.spacing == (0.2, 0.2, 0.4)
    assert np.allclose(half.grid.to_lps([-0.5] * 3), back.grid.to_lps([-0.5] * 3))
    (tmp_path / "s" / "head_rec5.tif").unlink()
    with pytest.raises(FormatError, match="slice 5 is missing"):
        read_tiff_stack(tmp_path / "s", spacing=(0.1, 0.1, 0.2))


def test_one_file_stacks_are_mapped(tmp_path):
    volume = a_volume("uint16", Grid((5, 6, 7), (1, 1, 1)))
    write_tiff_stack(volume, tmp_path / "a.tif")
    back = read_tiff_stack(tmp_path / "a.tif", spacing=(1, 1, 1))
    assert isinstance(back.array, np.memmap)
    assert np.array_equal(back.array, volume.array)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [("h_rec.log", "[Reconstruction]\nPixel Size (um)=9.88\n", (0.00988,) * 3),
     ("h.pcr", "[VolumeData]\nVolume_SizeX=10\nVoxelSizeRec=0.0123\n", (0.0123,) * 3),
     ("h.pca", "[Geometry]\nVoxelSizeX=0.02\nVoxelSizeY=0.03\n", (0.02, 0.03, 0.02)),
     ("h.vgi", "[file1]\nresolution = 0.01 0.02 0.03\n", (0.01, 0.02, 0.03))],
)  # fmt: skip
def test_spacing_from_scanner_logs(tmp_path, name, text, expected):
    write_tiff_stack(a_volume("uint8", Grid((3, 4, 5), (1, 1, 1))), tmp_path / "s")
    with pytest.raises(FormatError, match="--spacing"):
        read_tiff_stack(tmp_path / "s")
    (tmp_path / "s" / name).write_text(text)
    assert read_tiff_stack(tmp_path / "s").grid.spacing == pytest.approx(expected)


def test_spacing_from_a_morphosource_table(tmp_path):
    write_tiff_stack(a_volume("uint8", Grid((3, 4, 5), (1, 1, 1))), tmp_path / "anolis")
    table = tmp_path / "media.csv"
    rows = "media,x_pixel_spacing,y_pixel_spacing,z_pixel_spacing\nother,1,1,1\nanolis,0.01,0.02,0.03\n"
    table.write_text(rows)
    assert read_tiff_stack(tmp_path / "anolis", log=table).grid.spacing == (0.01, 0.02, 0.03)


def test_ome_zarr_pyramid(tmp_path):
    zarr = pytest.importorskip("zarr")
    volume = a_volume("uint16", Grid((70, 66, 130), (0.1, 0.2, 0.3)))
    labels = LabelVolume.of((volume.array > 40000).astype(np.uint8), volume.grid, {"bone": 1})
    from ethomorph.formats.ome_zarr import write_ome_zarr

    write_ome_zarr(volume, tmp_path / "a.ome.zarr", labels=labels)
    group = zarr.open_group(tmp_path / "a.ome.zarr", mode="r")
    assert np.array_equal(group["0"][:], volume.array)
    scales = group.attrs["multiscales"][0]
    assert scales["datasets"][1]["coordinateTransformations"][0]["scale"] == [0.6, 0.4, 0.2]
    assert group["1"].shape == (35, 33, 65)
    cube = volume.array[:2, :2, :2].astype(float).mean()
    assert abs(float(group["1"][0, 0, 0]) - cube) <= 0.5
    assert np.array_equal(group["labels/segments/0"][:], labels.array)


def damaged(folder: Path) -> dict[str, Path]:
    """A file of each kind of damage, by name."""
    good = folder / "good.nrrd"
    write_nrrd(a_volume("uint16"), good)
    packed, raw = good.read_bytes(), folder / "raw.nrrd"
    write_nrrd(a_volume("uint16"), raw, compress=False)
    plain = raw.read_bytes()
    cases = {
        "truncated gzip.nrrd": packed[:-60],
        "garbled gzip.nrrd": packed[:-200] + b"\0" * 100 + packed[-100:],
        "truncated raw.nrrd": plain[:-10],
        "wrong sizes.nrrd": plain.replace(b"sizes: 7 6 5", b"sizes: 7 6 9"),
        "wrong sizes gzip.nrrd": packed.replace(b"sizes: 7 6 5", b"sizes: 7 6 4"),
        "bomb.nrrd": packed.replace(b"sizes: 7 6 5", b"sizes: 9000 9000 900"),
        "zero size.nrrd": plain.replace(b"sizes: 7 6 5", b"sizes: 7 0 5"),
        "missing spacing.nrrd": b"\n".join(x for x in plain.split(b"\n") if b"space directions" not in x),
        "spacing nan.nrrd": plain.replace(b"(0.0,0.0,1.25)", b"(nan,nan,nan)"),
        "spacing zero.nrrd": plain.replace(b"(0.0,0.0,1.25)", b"(0,0,0)"),
        "not orthogonal.nrrd": plain.replace(b"(0.0,0.0,1.25)", b"(0.3,0.0,1.25)"),
        "four axes.nrrd": plain.replace(b"sizes: 7 6 5", b"sizes: 7 6 5 1").replace(b"dimension: 3", b"dimension: 4"),
        "not nrrd.nrrd": b"hello",
        "empty.nrrd": b"",
        "type.nrrd": plain.replace(b"type: unsigned short", b"type: block"),
    }
    write_volume(a_volume("uint16"), folder / "good.nii.gz")
    nifti = (folder / "good.nii.gz").read_bytes()
    cases |= {"truncated.nii.gz": nifti[:-40], "short.nii": gzip.decompress(nifti)[:-20], "junk.nii": b"\1" * 400}
    write_volume(a_volume("uint16", Grid((5, 6, 7), (0.5, 0.7, 1.25))), folder / "good.mha")
    meta = (folder / "good.mha").read_bytes()
    cases |= {
        "negative.mha": meta.replace(b"ElementSpacing = 0.5", b"ElementSpacing = -0.5"),
        "no spacing.mha": meta.replace(b"ElementSpacing", b"ElementSpacinx"),
        "sizes.mha": meta.replace(b"DimSize = 7 6 5", b"DimSize = 7 6 500000"),
        "sheared.mha": meta.replace(b"TransformMatrix = 1 0 0", b"TransformMatrix = 1 0.4 0"),
    }
    write_seg_nrrd(a_segmentation(), folder / "good.seg.nrrd")
    segments = (folder / "good.seg.nrrd").read_bytes()
    many = "".join(f"Segment{i}_ID:=s{i}\nSegment{i}_Name:=n{i}\nSegment{i}_LabelValue:={i + 1}\nSegment{i}_Layer:=0\n"
                   for i in range(3, 300)).encode()  # fmt: skip
    cases |= {
        "300 segments.seg.nrrd": segments.replace(b"Segmentation_Contained", many + b"Segmentation_Contained"),
        "unnamed value.seg.nrrd": segments.replace(b"Segment2_LabelValue:=3", b"Segment2_LabelValue:=9"),
        "colour.seg.nrrd": segments.replace(b"Segment0_Color:=0.5", b"Segment0_Color:=red"),
        "layer.seg.nrrd": segments.replace(b"Segment1_Layer:=0", b"Segment1_Layer:=4"),
    }
    labels = a_segmentation(kind=np.uint16)
    labels.layers[0, 0, 0, 0] = 65535
    write_seg_nrrd(labels, folder / "value 65535.seg.nrrd")
    for name, content in cases.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in [*cases, "value 65535.seg.nrrd"]}


def test_damaged_volumes_give_one_line_and_write_nothing(tmp_path, capfd):
    (tmp_path / "in").mkdir()
    for name, path in damaged(tmp_path / "in").items():
        suffix = ".seg.nrrd" if ".seg." in name else ".nrrd"
        code = execute(["convert", str(path), str(tmp_path / "out" / f"x{suffix}")])
        told = capfd.readouterr().err.strip()
        assert code == 2, (name, told)
        assert len(told.splitlines()) == 1 and str(path) in told, (name, told)
        assert not (tmp_path / "out").exists(), name


def test_spacing_can_be_given_where_it_is_missing(tmp_path):
    path = damaged(tmp_path)["missing spacing.nrrd"]
    assert read_image(path, spacing=(0.1, 0.2, 0.3)).grid.spacing == (0.1, 0.2, 0.3)
    with pytest.raises(InputError, match="--spacing"):
        read_image(path)


def test_three_hundred_segments_fit_wider_voxels(tmp_path):
    array = np.arange(GRID.voxels).reshape(GRID.shape) % 301
    labels = LabelVolume.of(array.astype(np.uint16), GRID, {f"n{i}": i for i in range(1, 301)})
    write_seg_nrrd(labels, tmp_path / "a.seg.nrrd")
    assert read_seg_nrrd(tmp_path / "a.seg.nrrd").is_same(labels)


def test_convert_from_the_command_line(tmp_path, capfd):
    volume = a_volume("uint16")
    write_volume(volume, tmp_path / "a.nrrd")
    for target in ("b.nii.gz", "b.mha", "b.dicom", "b.ome.zarr"):
        assert execute(["convert", str(tmp_path / "a.nrrd"), str(tmp_path / target)]) == 0
    for target in ("b.nii.gz", "b.mha", "b.dicom"):
        assert execute(["convert", str(tmp_path / target), str(tmp_path / "back.nrrd")]) == 0
        back = read_image(tmp_path / "back.nrrd")
        assert np.array_equal(back.array, volume.array) and back.array.dtype == np.uint16
        assert back.grid.is_same(volume.grid)
    fine = GRID.resized(tuple(s / 2 for s in GRID.spacing))
    array = (np.arange(GRID.voxels).reshape(GRID.shape) % 4).astype(np.uint8)
    labels = LabelVolume.of(array, GRID, {"a": 1, "b": 2, "c": 3})
    write_volume(labels.on(fine), tmp_path / "fine.seg.nrrd")
    capfd.readouterr()
    assert execute(["convert", str(tmp_path / "fine.seg.nrrd"), str(tmp_path / "c.seg.nrrd"),
                    "--grid", str(tmp_path / "a.nrrd")]) == 0  # fmt: skip
    assert "resampled from 14 x 12 x 10 voxels" in capfd.readouterr().err
    assert read_labels(tmp_path / "c.seg.nrrd").is_same(labels)
