"""Cross-sections: rectangles exact, disks within 0.3 %, axes, the module's figures, bones that lie askew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ethomorph.biomechanics.sections import COLUMNS, chosen_slices, feret, measure_sections, perimeter, section_of
from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume, ScalarVolume


def disk(radius: int) -> np.ndarray:
    y, x = np.indices((2 * radius + 7,) * 2) - radius - 3
    return x**2 + y**2 <= radius**2


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 3), st.floats(0.01, 3))
def test_rectangles_are_exact(columns, rows, width, height):
    found = section_of(np.pad(np.ones((rows, columns), bool), 1), (width, height))
    b, h = columns * width, rows * height
    about_x, about_y = b * h**3 / 12, h * b**3 / 12
    assert found["Imajor (mm^4)"] == pytest.approx(min(about_x, about_y))
    assert found["Iminor (mm^4)"] == pytest.approx(max(about_x, about_y))
    assert found["Jz (mm^4)"] == pytest.approx(b * h * (b**2 + h**2) / 12)
    assert found["Rmajor (mm)"] == pytest.approx(min(b, h) / 2)
    assert found["Zminor (mm^3)"] == pytest.approx(max(about_x, about_y) / (max(b, h) / 2))
    assert found["Rmax (mm)"] == pytest.approx(np.hypot(b, h) / 2)
    assert found["Max Feret Diameter (mm)"] == pytest.approx(np.hypot(b, h), rel=1e-6)
    assert found["Min Feret Diameter (mm)"] == pytest.approx(min(b, h), rel=1e-6)


@given(st.integers(2, 12), st.integers(2, 12))
def test_rectangles_as_the_module_has_them(columns, rows):
    w = 0.5
    found = section_of(np.ones((rows, columns), bool), (w, w), slicer_compat=True)
    b, h = columns * w, rows * w
    assert found["Imajor (mm^4)"] == pytest.approx(b * h**3 / 12)  # x is its major axis, however the section stands
    assert found["Iminor (mm^4)"] == pytest.approx(h * b**3 / 12)
    assert found["Jz (mm^4)"] + found["CSA (mm^2)"] * w**2 / 6 == pytest.approx(b * h * (b**2 + h**2) / 12)
    assert found["Rmajor (mm)"] == pytest.approx((h - w) / 2)  # to pixel centres
    assert found["Theta (deg)"] == 90
    assert found["Perimeter (mm)"] == pytest.approx(2 * (b + h) - 4 * w)
    assert found["Max Feret Diameter (mm)"] == pytest.approx(np.hypot(b - w, h - w))


@pytest.mark.parametrize("radius", [20, 35, 50])
def test_disks(radius):
    found, module = section_of(disk(radius)), section_of(disk(radius), slicer_compat=True)
    quarter = np.pi * radius**4 / 4
    assert found["Imajor (mm^4)"] == pytest.approx(quarter, rel=0.003)
    assert found["Jz (mm^4)"] == pytest.approx(2 * quarter, rel=0.003)
    assert found["Perimeter (mm)"] == pytest.approx(2 * np.pi * radius, rel=0.03)
    assert found["Imajor (MatNorm)"] == pytest.approx(1, rel=0.005)
    assert found["Zpol (MatNorm)"] == pytest.approx(1, rel=0.05)
    assert module["Zpol (MatNorm)"] == pytest.approx(8, rel=0.01)  # its divisor is 16 where a disk needs 2
    assert found["Compactness"] == 1


@given(st.floats(-89, 89))
def test_a_turned_ellipse_has_its_axes_and_moments(angle):
    a, b, turn = 40.0, 18.0, np.deg2rad(angle)
    y, x = np.indices((101, 101)) - 50.0
    u, v = x * np.cos(turn) + y * np.sin(turn), -x * np.sin(turn) + y * np.cos(turn)
    section = (u / a) ** 2 + (v / b) ** 2 <= 1
    for compat in (False, True):
        found = section_of(section, slicer_compat=compat)
        if compat and abs(angle) < 1:
            continue
        assert found["Imajor (mm^4)"] == pytest.approx(np.pi * a * b**3 / 4, rel=0.02)
        assert found["Iminor (mm^4)"] == pytest.approx(np.pi * b * a**3 / 4, rel=0.015)
        off = (found["Theta (deg)"] - 90 - angle + 90) % 180 - 90
        assert abs(off) < 0.7
    given_axis = section_of(section, angle_deg=angle)
    assert given_axis["Ina (mm^4)"] == pytest.approx(given_axis["Imajor (mm^4)"], rel=0.002)
    assert given_axis["Ila (mm^4)"] == pytest.approx(given_axis["Iminor (mm^4)"], rel=0.002)


def test_a_tube_is_less_compact_and_stiffer_for_its_material():
    tube = disk(30) & ~np.pad(disk(20), 10)
    found = section_of(tube)
    assert found["Compactness"] == pytest.approx(1 - (20 / 30) ** 2, rel=0.01)
    assert found["Imajor (mm^4)"] == pytest.approx(np.pi * (30**4 - 20**4) / 4, rel=0.01)
    assert found["Imajor (MatNorm)"] > 2
    assert found["Perimeter (mm)"] == pytest.approx(2 * np.pi * 30, rel=0.03)  # the outer outline alone
    slit = tube.copy()
    slit[35:39, 30:] = False
    assert section_of(slit)["Compactness"] == 1  # an open cavity cannot be filled ...
    assert section_of(slit, whole=disk(30))["Compactness"] < 0.6  # ... so the whole may be given


def test_scaling_laws():
    one, two = section_of(disk(15)), section_of(disk(15), (3.0, 3.0))
    for column, power in (("CSA (mm^2)", 2), ("Jz (mm^4)", 4), ("Zmajor (mm^3)", 3), ("Perimeter (mm)", 1)):
        assert two[column] == pytest.approx(one[column] * 3.0**power)
    for column in ("Imajor (MatNorm)", "Jz (LenNorm)", "Compactness"):
        assert two[column] == pytest.approx(one[column])


def test_small_sections_have_figures():
    for shape in ((1, 1), (1, 2), (1, 5), (5, 1)):
        for compat in (False, True):
            assert all(np.isfinite(v) for v in section_of(np.ones(shape, bool), slicer_compat=compat).values())
    assert perimeter(np.ones((1, 1), bool), (0.5, 0.5), slicer_compat=True) == 2.0
    assert feret(np.array([[0.0, 0.0], [3.0, 4.0]]), (0.0, 0.0)) == (5.0, 0.0)


def test_slices_are_chosen_as_the_module_does():
    assert chosen_slices(1000, 10) == [99, 199, 299, 399, 499, 599, 699, 799, 899, 999]
    assert chosen_slices(60, 10) == list(range(60))
    assert chosen_slices(300, 0) == list(range(300))


def test_a_bone_that_lies_askew_is_cut_across_its_own_axis():
    """A rod of 3 mm by 1 mm radius, in a random direction: sections along its length are its ellipse."""
    turn = Rotation.from_euler("xyz", [30, -40, 20], degrees=True).as_matrix()
    grid = Grid((150, 150, 150), (0.2,) * 3, (-14.9,) * 3)
    z, y, x = np.indices(grid.shape)
    local = grid.to_lps(np.stack([x, y, z], axis=-1)) @ turn
    rod = ((local[..., 0] / 3) ** 2 + (local[..., 1] / 2) ** 2 < 1) & (np.abs(local[..., 2]) < 11)
    labels = LabelVolume.of(rod.astype(np.uint8), grid, {"Rod": 1})
    image = ScalarVolume(np.where(rod, 700, 0).astype(np.float32), grid)
    table, notes = measure_sections(labels, "Rod", image=image, interval_percent=5)
    assert list(table.columns[: len(COLUMNS)]) == COLUMNS
    assert table["Length (mm)"].iloc[0] == pytest.approx(22, abs=0.5)
    middle = table[(table["Percent (%)"] > 10) & (table["Percent (%)"] < 90)]
    assert np.allclose(middle["CSA (mm^2)"], np.pi * 6, rtol=0.02)
    assert np.allclose(middle["Iminor (mm^4)"], np.pi * 2 * 27 / 4, rtol=0.06)
    assert np.allclose(middle["Imajor (mm^4)"], np.pi * 3 * 8 / 4, rtol=0.06)
    assert np.allclose(middle["Mean Brightness"], 700, rtol=0.05)
    assert any("resampled" in note for note in notes)


def test_what_is_refused():
    labels = LabelVolume.of(np.ones((4, 4, 4), np.uint8), Grid((4, 4, 4), (1, 2, 1)), {"Bone": 1})
    with pytest.raises(LabelError, match="interval"):
        measure_sections(labels, "Bone", interval_percent=-1)
    with pytest.raises(LabelError, match="no segment"):
        measure_sections(labels, "Other")
    with pytest.raises(LabelError, match="square"):
        measure_sections(labels, "Bone", axis="z", slicer_compat=True)
