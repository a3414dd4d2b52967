"""Scales from every source, their order, and their disagreements."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from ethomorph.core.errors import LabelError
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.keypoints.scale import Ruler, apply, find_scales, in_mm

NAMES = ["zero", "ten", "snout"]
POINTS = [[10.0, 10], [10, 210], [40, 50]]  # 200 px between the ruler's ends


def wings(*specimens: Specimen) -> LandmarkSet:
    return LandmarkSet(list(specimens), NAMES, source="wings.tps")


def dicom(path, **tags):
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data.Rows = data.Columns = 4
    data.BitsAllocated = data.BitsStored = 8
    for name, value in tags.items():
        setattr(data, name, value)
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1", "1.2.3"
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = data.SOPClassUID, "1.2.3"
    data.save_as(path, enforce_file_format=True)
    return path


def test_each_source_alone(tmp_path):
    path = dicom(tmp_path / "a.dcm", ImagerPixelSpacing=[0.2, 0.2])
    cases = [
        (Specimen(POINTS, id="a"), {"given": 0.05}, 0.05, "given"),
        (Specimen(POINTS, id="a"), {"given": {"a": 0.05}}, 0.05, "given"),
        (Specimen(POINTS, id="a"), {"ruler": Ruler("zero", 1, 1.0, "cm")}, 0.05, "ruler"),
        (Specimen(POINTS, id="a", scale=0.005, unit="cm"), {}, 0.05, "file"),
        (Specimen(POINTS, id="a", image_path=path), {}, 0.2, "dicom"),
    ]
    for specimen, options, value, source in cases:
        scales = find_scales(wings(specimen), **options)
        assert scales.mm_per_px == pytest.approx([value]) and scales.source == [source] and not scales.warnings
    assert find_scales(wings(cases[-1][0]), images=False).source == [""]


def test_disagreements_are_told_and_the_ruler_goes_before_the_file():
    ruler = Ruler("zero", "ten", 10.0)
    agree = Specimen(POINTS, id="agree", scale=0.0505)
    differ = Specimen(POINTS, id="differ", scale=0.0525)
    scales = find_scales(wings(agree, differ), ruler=ruler)
    np.testing.assert_allclose(scales.mm_per_px, 0.05)
    assert scales.candidates[1] == pytest.approx({"ruler": 0.05, "file": 0.0525})
    assert len(scales.warnings) == 1
    assert "differ" in scales.warnings[0] and "5%" in scales.warnings[0]


def test_missing_scales_are_told_and_stay_nan():
    hidden = Specimen([[np.nan, np.nan], *POINTS[1:]], id="hidden")
    scales = find_scales(wings(Specimen(POINTS, id="seen"), hidden), ruler=Ruler("zero", "ten", 10.0))
    assert np.isnan(scales.mm_per_px[1]) and "hidden" in scales.warnings[0]
    scaled = apply(wings(Specimen(POINTS), hidden), scales)
    assert scaled[0].scale == pytest.approx(0.05) and scaled[1].scale is None
    assert np.linalg.norm(np.diff(in_mm(scaled)[0, :2], axis=0)) == pytest.approx(10.0)
    assert np.isnan(in_mm(scaled)[1]).all()
    np.testing.assert_array_equal(scaled[0].points, POINTS)  # coordinates stay in px


def test_oblong_pixels_are_told(tmp_path):
    path = dicom(tmp_path / "a.dcm", PixelSpacing=[0.2, 0.1])
    scales = find_scales(wings(Specimen(POINTS, id="a", image_path=path)))
    assert np.isnan(scales.mm_per_px[0]) and "not square" in scales.warnings[0]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"given": 0.0}, "scale is 0"),
        ({"given": float("nan")}, "nan"),
        ({"ruler": Ruler("zero", "toe", 1.0)}, "toe.*snout"),
        ({"ruler": Ruler(0, 0, 1.0)}, "one landmark"),
        ({"ruler": Ruler(0, 1, -2.0)}, "-2"),
        ({"ruler": Ruler(0, 1, 2.0, "furlong")}, "furlong"),
    ],
)
def test_nonsense_is_refused(options, said):
    with pytest.raises(LabelError, match=said):
        find_scales(wings(Specimen(POINTS, id="a")), **options)
