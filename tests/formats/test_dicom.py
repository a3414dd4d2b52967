"""DICOM radiographs: polarity, look-up tables, windows and spacing against the standard's formulas."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, JPEGLosslessSV1, JPEGLSLossless, RLELossless

from ethomorph.core.errors import ImageError
from ethomorph.formats.images import image_size, read_header, read_image

RAMP = (np.arange(30 * 40) * 3 % 4096).astype(np.uint16).reshape(30, 40)


def radiograph(path, pixels=RAMP, bits=12, **tags):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    data.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.BitsAllocated = 8 * pixels.itemsize
    data.BitsStored, data.HighBit = bits, bits - 1
    data.PixelRepresentation = int(pixels.dtype.kind == "i")
    data.PixelData = pixels.tobytes()
    for name, value in tags.items():
        setattr(data, name, value)
    data.save_as(path, enforce_file_format=True)
    return path


def test_stored_values_and_depth_are_kept(tmp_path):
    image = read_image(radiograph(tmp_path / "a.dcm"))
    assert np.array_equal(image.pixels, RAMP)
    assert (image.pixels.dtype, image.bits, image.mm_per_px, image.notes) == (np.uint16, 12, None, ())
    assert image_size(image.path) == (30, 40) and read_header(image.path).bits == 12


def test_monochrome1_is_inverted(tmp_path):
    image = read_image(radiograph(tmp_path / "a.dcm", PhotometricInterpretation="MONOCHROME1"))
    assert np.array_equal(image.pixels, 4095 - RAMP)


def test_window_follows_the_standard(tmp_path):
    centre, width = 2000.0, 1000.0
    image = read_image(radiograph(tmp_path / "a.dcm", WindowCenter=centre, WindowWidth=width))
    # DICOM PS3.3 C.11.2.1.2.1, output 0 to 1
    expected = np.clip((RAMP - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)
    np.testing.assert_allclose(image.grey(), expected, atol=1e-4)
    assert image.bits == 16 and "window" in image.notes[0]


def test_window_is_in_units_after_the_modality_lut(tmp_path):
    path = radiograph(
        tmp_path / "a.dcm", RescaleSlope=2.0, RescaleIntercept=-1000.0, WindowCenter=3000.0, WindowWidth=2000.0
    )
    expected = np.clip((2.0 * RAMP - 1000 - 2999.5) / 1999 + 0.5, 0, 1)
    np.testing.assert_allclose(read_image(path).grey(), expected, atol=1e-4)


def test_rescale_without_window_changes_nothing_to_see(tmp_path):
    image = read_image(radiograph(tmp_path / "a.dcm", RescaleSlope=0.5, RescaleIntercept=-7.0))
    assert np.array_equal(image.pixels, RAMP)


def test_signed_pixels_are_shifted(tmp_path):
    signed = RAMP.astype(np.int16) - 2048
    assert np.array_equal(read_image(radiograph(tmp_path / "a.dcm", signed)).pixels, RAMP)


def test_voi_lut(tmp_path):
    item = Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = [4095 - i for i in range(4096)]
    item["LUTData"].VR = "US"
    image = read_image(radiograph(tmp_path / "a.dcm", VOILUTSequence=pydicom.Sequence([item])))
    np.testing.assert_allclose(image.grey(), (4095 - RAMP) / 4095, atol=1e-4)
    assert "VOI LUT" in image.notes[0]


def test_spacing(tmp_path):
    assert read_image(radiograph(tmp_path / "a.dcm", PixelSpacing=[0.05, 0.05])).mm_per_px == 0.05
    oblong = read_image(radiograph(tmp_path / "b.dcm", PixelSpacing=[0.2, 0.1]))
    assert oblong.mm_per_px == (0.1, 0.2)  # x, y; the file says rows first
    detector = read_image(
        radiograph(tmp_path / "c.dcm", ImagerPixelSpacing=[0.1, 0.1], EstimatedRadiographicMagnificationFactor=1.5)
    )
    assert detector.mm_per_px == 0.1
    assert "detector" in detector.notes[0] and "1.5" in detector.notes[0]
    wrong = read_image(radiograph(tmp_path / "d.dcm", PixelSpacing=[0.0, 0.1]))
    assert wrong.mm_per_px is None and "ignored" in wrong.notes[0]


def test_8_bit_and_colour(tmp_path):
    grey = (RAMP % 256).astype(np.uint8)
    assert np.array_equal(read_image(radiograph(tmp_path / "a.dcm", grey, bits=8)).pixels, grey)
    colour = np.stack([grey, grey // 2, grey // 3], -1)
    image = read_image(radiograph(tmp_path / "b.dcm", colour, bits=8))
    assert np.array_equal(image.pixels, colour)


@pytest.mark.parametrize("syntax", [JPEGLosslessSV1, JPEGLSLossless, RLELossless])
def test_compressed_without_loss(tmp_path, syntax):
    path = radiograph(tmp_path / "a.dcm")
    data = pydicom.dcmread(path)
    if syntax == RLELossless:
        data.compress(RLELossless)
    else:
        encode = imagecodecs.ljpeg_encode if syntax == JPEGLosslessSV1 else imagecodecs.jpegls_encode
        data.PixelData = encapsulate([encode(RAMP)])
        data["PixelData"].VR = "OB"
        data.file_meta.TransferSyntaxUID = syntax
    data.save_as(path)
    assert np.array_equal(read_image(path).pixels, RAMP)


def test_no_preamble(tmp_path):
    path = radiograph(tmp_path / "a.dcm", WindowCenter=2000.0, WindowWidth=1000.0)
    data = pydicom.dcmread(path)
    del data.file_meta
    data.save_as(tmp_path / "bare.dcm", implicit_vr=True, little_endian=True, enforce_file_format=False)
    assert np.array_equal(read_image(tmp_path / "bare.dcm").pixels, read_image(path).pixels)


def test_frames_truncation_and_bombs_are_refused(tmp_path):
    path = radiograph(tmp_path / "cine.dcm", NumberOfFrames=5)
    with pytest.raises(ImageError, match=r"cine\.dcm.*5 frames"):
        read_image(path)
    path = radiograph(tmp_path / "huge.dcm", Rows=60000, Columns=60000)
    for function in (read_image, image_size):
        with pytest.raises(ImageError, match=r"huge\.dcm.*60000"):
            function(path)
    path = radiograph(tmp_path / "short.dcm")
    whole = path.read_bytes()
    for share in (0.05, 0.15, 0.3, 0.8):
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageError, match=r"short\.dcm"):
            read_image(path)


def test_mutated_files_end_in_a_picture_or_an_image_error(tmp_path):
    path = radiograph(tmp_path / "a.dcm", WindowCenter=2000.0, WindowWidth=1000.0, PixelSpacing=[0.1, 0.1])
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    rng = np.random.default_rng(1)
    for _ in range(150):
        hurt = whole.copy()
        hurt[rng.integers(120, 520, rng.integers(1, 6))] = rng.integers(0, 256)
        path.write_bytes(hurt.tobytes())
        try:
            read_image(path)
        except ImageError as error:
            assert "a.dcm" in str(error) and "\n" not in str(error)
