"""Tooth shapes and tables: areas equal SimpleITK's, spheres and cones within tolerance, columns, defects reproduced."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from ethomorph.biomechanics.levers import EmpiricalMuscle, JawPoints, SimulatedMuscle
from ethomorph.biomechanics.teeth import STRESS, ToothRow, homodonty, measure_teeth
from ethomorph.biomechanics.tooth_shape import itk_shape, jaw_distances, tooth_shapes
from ethomorph.core.errors import LabelError
from ethomorph.core.grid import Grid
from ethomorph.core.volume import LabelVolume

AXIS_POINTS = JawPoints.from_array(
    np.array(
        [
            [0.5, 0.5, 0.5],
            [0.5, -59.5, 0.5],
            [0.5, -6, 4],
            [0.5, 4, 30],
            [1, -9, 3],
            [1, 6, 28],
            [1, -5, 0.6],
            [1, 0, 20],
        ]
    )
)


def jaw_with_cones(turn: np.ndarray | None = None, spacing: float = 0.5) -> tuple[LabelVolume, JawPoints, np.ndarray]:
    """Five cones along a jaw that runs in -y, tips upwards (+z), all turned by a rotation; and tips and bases."""
    turn = np.eye(3) if turn is None else turn
    ends = np.array(
        [[[0.5, -y, 1.5 + 0.1 * h], [0.5, -y, 1.5 + h]] for y, h in ((15, 6), (24, 8), (33, 10), (42, 9), (51, 7))]
    )
    half = 40.0
    count = int(2 * half / spacing)
    grid = Grid((count,) * 3, (spacing,) * 3, tuple(np.array([0, -30, 5]) @ turn.T - half + spacing / 2))
    array = np.zeros(grid.shape, np.uint8)
    z, y, x = np.indices(grid.shape)
    local = grid.to_lps(np.stack([x, y, z], axis=-1)) @ turn
    for number, (base, tip) in enumerate(ends, start=1):
        height = tip[2] - base[2]
        up = (local[..., 2] - base[2]) / height
        radius = height / 4 * (1 - up)
        across = np.hypot(local[..., 0] - base[0], local[..., 1] - base[1])
        array[(up >= 0) & (up <= 1) & (across <= radius)] = number
    labels = LabelVolume.of(array, grid, {f"Tooth_{n}": n for n in range(1, 6)})
    return labels, JawPoints.from_array(AXIS_POINTS.array() @ turn.T), ends @ turn.T


def ball(radius: float, spacing: tuple[float, float, float]) -> tuple[np.ndarray, Grid]:
    counts = [int(2 * radius / s) + 7 for s in spacing]
    grid = Grid(tuple(counts[::-1]), spacing, tuple(-s * (n - 1) / 2 for n, s in zip(counts, spacing, strict=True)))
    z, y, x = np.indices(grid.shape)
    return (grid.to_lps(np.stack([x, y, z], axis=-1)) ** 2).sum(axis=-1) <= radius**2, grid


def test_area_is_simpleitks_on_a_label_image():
    labels, points, _ = jaw_with_cones()
    shapes, _ = tooth_shapes(labels, labels.names, points)
    image = sitk.GetImageFromArray(labels.array)
    image.SetSpacing(labels.grid.spacing)
    statistics = sitk.LabelShapeStatisticsImageFilter()
    statistics.ComputePerimeterOn()
    statistics.ComputeOrientedBoundingBoxOn()
    statistics.Execute(image)
    for number, shape in enumerate(shapes, start=1):
        assert shape.area_mm2 == pytest.approx(statistics.GetPerimeter(number), rel=1e-9)
        assert np.allclose(shape.box_mm, statistics.GetOrientedBoundingBoxSize(number), rtol=1e-6)
        assert shape.volume_mm3 == pytest.approx(statistics.GetPhysicalSize(number))


@pytest.mark.parametrize(("radius", "spacing", "tolerance"), [
    (10, (1, 1, 1), 0.01), (20, (1, 1, 1), 0.01), (3, (0.5, 0.5, 1), 0.015), (10, (0.5, 0.5, 1), 0.015),
])  # fmt: skip
def test_spheres(radius, spacing, tolerance):
    mask, grid = ball(radius, spacing)
    area, box, _, centroid = itk_shape(mask, grid)
    assert area == pytest.approx(4 * np.pi * radius**2, rel=tolerance)
    assert np.allclose(box, 2 * radius, atol=1.5 * max(spacing))
    assert np.abs(centroid).max() < 0.1


def test_cones_come_near_their_true_surface_height_and_ends():
    for seed in range(3):
        turn = Rotation.random(random_state=seed).as_matrix()
        labels, points, ends = jaw_with_cones(turn)
        shapes, notes = tooth_shapes(labels, labels.names, points)
        assert not notes
        for shape, (base, tip) in zip(shapes, ends, strict=True):
            height = np.linalg.norm(tip - base)
            radius = height / 4
            area = np.pi * radius * (radius + np.hypot(height, radius))
            assert shape.area_mm2 == pytest.approx(area, rel=0.15)  # radii of 3 to 5 voxels
            assert np.linalg.norm(shape.tip - tip) < 3 * 0.5
            assert np.linalg.norm(shape.base - base) < 2 * 0.5


def test_tips_and_bases_are_never_swapped_but_the_modules_projection_swaps_them():
    wrong = 0
    for seed in range(30):
        turn = Rotation.random(random_state=100 + seed).as_matrix()
        points = JawPoints.from_array(AXIS_POINTS.array() @ turn.T)
        places = np.array([[0.5, -30, 10.0], [0.5, -30, 1.0]]) @ turn.T  # outer and inner end of a lower tooth
        outer, inner = jaw_distances(places, points, jaw="lower")
        assert outer == pytest.approx(9.5) and inner == pytest.approx(0.5)
        outer, inner = jaw_distances(places, points, jaw="lower", slicer_compat=True)
        wrong += outer < inner
    assert 5 <= wrong <= 25  # about half of all poses


def test_upper_teeth_point_towards_the_line_through_the_first_insertion():
    points = AXIS_POINTS
    places = np.array([[0.5, -30, 6.0], [0.5, -30, 14.0]])
    tip, base = jaw_distances(places, points, jaw="upper")
    assert tip == pytest.approx(2.0) and base == pytest.approx(10.0)
    unset = points.array()
    unset[2] = np.nan
    with pytest.raises(LabelError, match="upper jaw needs"):
        jaw_distances(places, JawPoints.from_array(unset), jaw="upper")


def test_the_table_follows_the_written_formulas_and_columns():
    labels, points, ends = jaw_with_cones()
    given = {name: (tip, base) for name, (base, tip) in zip(labels.names, ends, strict=True)}
    muscles = {1: EmpiricalMuscle(10.0, 15.0, 0.3), 3: EmpiricalMuscle(4.0, 25.0, 0.2)}
    row = ToothRow(labels.names, points, "lower", "left", muscles, given)
    measured = measure_teeth(labels, [row], specimen="A. lugubris")
    table = measured.table
    assert list(table.columns) == [
        "Specimen", "Jaw ID", "Side ID", "Jaw Length (mm)", "Tooth ID", "Position (mm)", "Tooth Height (mm)",
        "Tooth Width (mm)", "Aspect Ratio", "Surface Area (mm^2)", "Out-Lever (mm)",
        "M1 In-Lever (mm)", "M1 Volume (mm^3)", "M1 Fiber Length (mm)", "M1 Pen Angle (deg)", "M1 Fmax (N/mm^2)",
        "M1 In Force (N)", "M1 Angle (deg)", "M1 Mech Adv", "M1 F-tooth (N)",
        "M3 In-Lever (mm)", "M3 Volume (mm^3)", "M3 Fiber Length (mm)", "M3 Pen Angle (deg)", "M3 Fmax (N/mm^2)",
        "M3 In Force (N)", "M3 Angle (deg)", "M3 Mech Adv", "M3 F-tooth (N)",
        "Total F-tooth (N)", "Stress (N/m^2)",
    ]  # fmt: skip
    eight = points.array()
    for record, (base, tip) in zip(table.to_dict("records"), ends, strict=True):
        out_lever = np.linalg.norm(tip - eight[0])
        total = 0.0
        for number, muscle in muscles.items():
            insertion, origin = eight[2 * number], eight[2 * number + 1]
            fibre = np.linalg.norm(origin - insertion)
            u, v = eight[0] - insertion, origin - insertion
            sine = np.linalg.norm(np.cross(u, v)) / np.linalg.norm(u) / np.linalg.norm(v)
            force = muscle.volume_mm3 * np.cos(np.radians(muscle.pennation_deg)) / fibre * muscle.fmax_n_mm2
            at_tooth = force * sine * np.linalg.norm(insertion - eight[0]) / out_lever
            assert record[f"M{number} F-tooth (N)"] == pytest.approx(at_tooth, rel=1e-6)
            total += at_tooth
        assert record["Position (mm)"] == pytest.approx(np.linalg.norm(base - eight[0]), rel=1e-6)
        assert record["Tooth Height (mm)"] == pytest.approx(np.linalg.norm(tip - base), rel=1e-6)
        assert record["Total F-tooth (N)"] == pytest.approx(total, rel=1e-6)
        shape = next(s for s in measured.shapes if s.name == record["Tooth ID"])
        assert record["Surface Area (mm^2)"] == pytest.approx(shape.area_mm2 / 2, rel=1e-9)
        assert record[STRESS] == pytest.approx(total / (shape.area_mm2 / 2 * 1e-6), rel=1e-6)
    assert np.allclose(measured.extras["RelTooth Position"], table["Position (mm)"] / 60)
    assert set(table["Specimen"]) == {"A. lugubris"} and set(table["Side ID"]) == {"Left"}


def test_simulated_muscles_have_fewer_columns_and_one_muscle_no_total():
    labels, points, _ = jaw_with_cones()
    table = measure_teeth(labels, [ToothRow(labels.names, points, muscles={1: SimulatedMuscle(10.0, 60.0)})]).table
    assert "Total F-tooth (N)" not in table.columns and "M1 Volume (mm^3)" not in table.columns
    assert set(table["Specimen"]) == {"NA"}
    assert np.allclose(table[STRESS], table["M1 F-tooth (N)"] / table["Surface Area (mm^2)"] * 1e6)


def test_the_modules_defects_are_reproduced_only_when_asked_for():
    """Boxes of equal width: the module adds no width for them, so the column ends early; it stores float32."""
    array = np.zeros((30, 60, 20), np.uint8)
    array[4:16, 5:11, 5:11] = 1  # 6 x 6 x 12: no value in the module
    array[4:14, 20:28, 5:9] = 2  # 4 x 8 x 10
    array[4:16, 40:46, 5:11] = 3
    array[9:11, 22:24, 6:8] = 0  # a hole in tooth 2
    labels = LabelVolume.of(array, Grid(array.shape, (1, 1, 1)), {"A": 1, "B": 2, "C": 3})
    points = JawPoints.from_array([[8, 0, 0.5], [8, 60, 1], [8, 5, 2]])
    row = ToothRow(labels.names, points, muscles={1: SimulatedMuscle()})
    right, module = measure_teeth(labels, [row]), measure_teeth(labels, [row], slicer_compat=True)
    assert np.allclose(right.table["Tooth Width (mm)"], [6, 8, 6], atol=0.01)
    assert module.table["Tooth Width (mm)"].iloc[0] == pytest.approx(8, abs=0.1)
    assert module.table["Tooth Width (mm)"].iloc[1:].isna().all()
    assert module.table["Stress (N/m^2)"].dtype == np.float32 and right.table["Stress (N/m^2)"].dtype == np.float64
    assert any("holes were filled" in note for note in right.notes)
    assert module.table["Surface Area (mm^2)"].iloc[1] > right.table["Surface Area (mm^2)"].iloc[1]


def test_homodonty_of_equal_and_of_unequal_teeth():
    labels, points, _ = jaw_with_cones()
    table = measure_teeth(labels, [ToothRow(labels.names, points, muscles={1: SimulatedMuscle()})]).table
    equal = table.assign(**{STRESS: 5.0})
    assert homodonty(equal)["CV stress"].iloc[0] == 0
    found = homodonty(table)
    assert found["Teeth"].iloc[0] == 5
    stress = table[STRESS]
    assert found["CV stress"].iloc[0] == pytest.approx(stress.std(ddof=1) / stress.mean())
    assert homodonty(table.head(1))["CV stress"].iloc[0] is None


def test_what_is_refused():
    labels, points, _ = jaw_with_cones()
    for row, words in (
        (ToothRow([], points, muscles={1: SimulatedMuscle()}), "without teeth"),
        (ToothRow(["Tooth_1"], points), "without a muscle"),
        (ToothRow(["Tooth_1", "Tooth_1"], points, muscles={1: SimulatedMuscle()}), "named twice"),
        (ToothRow(["Tooth_1"], points, muscles={1: SimulatedMuscle(), 2: EmpiricalMuscle()}), "mixed"),
        (ToothRow(["Fang"], points, muscles={1: SimulatedMuscle()}), "no segment 'Fang'"),
    ):
        with pytest.raises(LabelError, match=words):
            measure_teeth(labels, [row])
