"""DICOM radiographs of one frame, as a viewer would show them: modality LUT, window, polarity, and mm per pixel.

The grey values are kept at up to 16 bits for looking and digitising. CT slices as Hounsfield volumes are not for here.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import ImageError
from ethomorph.formats.images import Header, Image, refuse_bomb, refusing

_HEADER_TAGS = ["Rows", "Columns", "SamplesPerPixel", "BitsStored", "NumberOfFrames", "PhotometricInterpretation"]
_IMAGECODECS = {
    "1.2.840.10008.1.2.4.57": "ljpeg_decode",  # JPEG lossless, common from X-ray detectors; pydicom needs a plug-in
    "1.2.840.10008.1.2.4.70": "ljpeg_decode",
    "1.2.840.10008.1.2.4.80": "jpegls_decode",
    "1.2.840.10008.1.2.4.81": "jpegls_decode",
    "1.2.840.10008.1.2.4.90": "jpeg2k_decode",
    "1.2.840.10008.1.2.4.91": "jpeg2k_decode",
}


def read_dicom(path: Path) -> Image:
    """Read one frame.

    The modality LUT and then the VOI LUT or window are applied where the file has them (DICOM PS3.3 C.11.1 and C.11.2),
    MONOCHROME1 is inverted so that more is brighter, and the result is stored in the smallest of 8 and 16 bits that
    loses nothing: a windowed picture is spread over 16 bits, any other keeps its stored bits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = _dataset(path)
        _checked(data, path)
        if "PixelData" not in data:
            raise ImageError(
                "this DICOM file holds no picture", place=path, fix="give the file of the radiograph itself"
            )
        stored = _stored_pixels(data, path)
        scale, notes = mm_per_px(data, path)
        if stored.ndim == 3:
            pixels, bits = stored, int(data.BitsStored)
        else:
            pixels, bits, shown = _as_shown(data, stored)
            notes += shown
    pixels = np.ascontiguousarray(pixels, dtype=np.uint8 if bits <= 8 else np.uint16)
    named = tuple(f"{path.name}: {note}" for note in notes)
    return Image(pixels, path, "dicom", bits, scale, named)


def dicom_header(path: Path) -> Header:
    """Size and depth, with the pixel data left on disk."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = _dataset(path, specific_tags=_HEADER_TAGS, stop_before_pixels=True)
        _checked(data, path)
        return Header(
            "dicom", int(data.Rows), int(data.Columns), int(data.get("SamplesPerPixel", 1)), int(data.BitsStored)
        )


def read_spacing(path: Path) -> float | tuple[float, float] | None:
    """mm per pixel from the header alone, as `mm_per_px` gives it."""
    with warnings.catch_warnings(), refusing(path):
        warnings.simplefilter("ignore")
        return mm_per_px(_dataset(path, stop_before_pixels=True), path)[0]


def mm_per_px(data: Any, path: Path) -> tuple[float | tuple[float, float] | None, list[str]]:
    """mm per pixel, as a number or (x, y), and what to know about it.

    ``PixelSpacing`` is taken first, then ``ImagerPixelSpacing``, which is measured at the detector: a specimen above
    it is magnified, and that is not removed (DICOM PS3.3 10.7.1.3).
    """
    for tag in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        spacing = data.get(tag)
        if not spacing:
            continue
        values = [float(v) for v in np.atleast_1d(np.asarray(spacing, dtype=float))]
        if len(values) != 2 or not all(np.isfinite(v) and v > 0 for v in values):
            return None, [f"its {tag} {spacing} makes no sense and is ignored."]
        down, across = values
        scale = across if np.isclose(down, across, rtol=1e-6) else (across, down)
        notes = []
        if tag == "ImagerPixelSpacing":
            factor = data.get("EstimatedRadiographicMagnificationFactor")
            said = f"; the file estimates it as {float(factor):g}" if factor else ""
            notes.append(f"mm per px holds at the detector, the specimen's magnification is not removed{said}.")
        return scale, notes
    return None, []


def _dataset(path: Path, **options: Any) -> Any:
    import pydicom

    try:
        return pydicom.dcmread(path, **options)
    except pydicom.errors.InvalidDicomError:
        return pydicom.dcmread(path, force=True, **options)


def _checked(data: Any, path: Path) -> None:
    """Raise ImageError for a header that is not one whole picture."""
    if any(data.get(tag) is None for tag in ("Rows", "Columns", "BitsStored")):
        raise ImageError("this DICOM file holds no picture", place=path, fix="give the file of the radiograph itself")
    refuse_bomb(path, int(data.Rows), int(data.Columns))
    frames = int(data.get("NumberOfFrames") or 1)
    if frames > 1:
        raise ImageError(
            f"is a DICOM file of {frames} frames", place=path, fix="export the one frame that was digitised"
        )
    if int(data.BitsStored) > 16:
        raise ImageError(f"stores {data.BitsStored} bits a pixel", place=path, fix="export it with at most 16 bits")


def _stored_pixels(data: Any, path: Path) -> np.ndarray:
    """(y, x) as stored or (y, x, 3) RGB."""
    from pydicom.pixels import apply_color_lut

    meta = getattr(data, "file_meta", None)
    if meta is None or "TransferSyntaxUID" not in meta:
        from pydicom.dataset import FileMetaDataset
        from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

        data.file_meta = meta = meta or FileMetaDataset()
        meta.TransferSyntaxUID = ImplicitVRLittleEndian if data.original_encoding[0] else ExplicitVRLittleEndian
    syntax = meta.TransferSyntaxUID
    if syntax in _IMAGECODECS:
        import imagecodecs
        from pydicom.encaps import get_frame

        frame = get_frame(data.PixelData, 0, number_of_frames=1)
        pixels = np.squeeze(getattr(imagecodecs, _IMAGECODECS[syntax])(frame))
        if pixels.shape[:2] != (data.Rows, data.Columns):
            raise ImageError(
                f"its pixels are {pixels.shape[:2]}, its header says otherwise", place=path, fix="export it again"
            )
        if data.PixelRepresentation and pixels.dtype.kind == "u":
            pixels = _signed(pixels, int(data.BitsStored))
    else:
        try:
            pixels = data.pixel_array
        except RuntimeError:
            name = getattr(syntax, "name", syntax)
            raise ImageError(
                f"its compression ({name}) cannot be decoded", place=path, fix="export it uncompressed"
            ) from None
    if data.PhotometricInterpretation == "PALETTE COLOR":
        colours = apply_color_lut(pixels, data)
        data.BitsStored = 8 * colours.itemsize
        return colours[..., :3]
    return pixels


def _signed(pixels: np.ndarray, bits: int) -> np.ndarray:
    values = pixels.astype(np.int32) & (2**bits - 1)
    return np.where(values >= 2 ** (bits - 1), values - 2**bits, values)


def _as_shown(data: Any, stored: np.ndarray) -> tuple[np.ndarray, int, list[str]]:
    """Integer grey values with white as 2**bits - 1, the bits, and notes."""
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    notes: list[str] = []
    bits = int(data.BitsStored)
    has_lut = bool(data.get("VOILUTSequence"))
    has_window = data.get("WindowCenter") is not None and data.get("WindowWidth") is not None
    low, high = _modality_range(data)
    values = apply_modality_lut(stored, data)
    if has_lut or has_window:
        values = apply_voi_lut(values, data)
        if has_lut:
            low, high = 0.0, 2.0 ** int(data.VOILUTSequence[0].LUTDescriptor[2]) - 1
        bits = max(bits, 16) if bits > 8 else 8
        notes.append(f"shown through the file's own {'VOI LUT' if has_lut else 'window'}.")
        if not has_lut and data["WindowCenter"].VM > 1:
            notes.append(f"the first of its {data['WindowCenter'].VM} windows is used.")
    top = 2**bits - 1
    shown = (np.asarray(values, np.float64) - low) * (top / ((high - low) or 1.0))
    if data.PhotometricInterpretation == "MONOCHROME1":
        shown = top - shown
    return np.clip(np.rint(shown), 0, top), bits, notes


def _modality_range(data: Any) -> tuple[float, float]:
    """The least and greatest value that the modality LUT can give, as `pydicom` takes it for windows."""
    if data.get("ModalityLUTSequence"):
        return 0.0, 2.0 ** int(data.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    bits = int(data.BitsStored)
    low, high = (-(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1) if int(data.PixelRepresentation) else (0.0, 2.0**bits - 1)
    slope, intercept = data.get("RescaleSlope"), data.get("RescaleIntercept")
    if slope is None or intercept is None:
        return low, high
    return low * float(slope) + float(intercept), high * float(slope) + float(intercept)
