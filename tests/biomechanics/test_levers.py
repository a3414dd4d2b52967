"""Lever mechanics: the written formulas, both kinds of muscles, the module's defect for muscle 3, points not set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ethomorph.biomechanics.levers import (
    EmpiricalMuscle,
    JawPoints,
    SimulatedMuscle,
    angle_at,
    muscle_force,
    stress_pa,
    tooth_forces,
)
from ethomorph.core.errors import LabelError

POINTS = np.array(
    [[1, 1, 1], [1, -19, 1], [1, -4, 2], [2, -1, 9], [1, -5, 2], [0, 2, 8], [1, -6, 1], [3, -3, 7]], dtype=float
)


def test_empirical_muscles_follow_the_formulas():
    points = JawPoints.from_array(POINTS)
    muscle = EmpiricalMuscle(volume_mm3=12.0, pennation_deg=20.0, fmax_n_mm2=0.25)
    for number in (1, 2, 3):
        insertion, origin = POINTS[2 * number], POINTS[2 * number + 1]
        fibre = np.sqrt(((origin - insertion) ** 2).sum())
        force = muscle_force(number, muscle, points)
        assert force.fibre_mm == pytest.approx(fibre, rel=1e-12)
        assert force.force_n == pytest.approx(12.0 * np.cos(np.radians(20)) / fibre * 0.25, rel=1e-12)
        assert force.in_lever_mm == pytest.approx(np.linalg.norm(insertion - POINTS[0]), rel=1e-12)
        to_joint, to_origin = POINTS[0] - insertion, origin - insertion
        cosine = to_joint @ to_origin / np.linalg.norm(to_joint) / np.linalg.norm(to_origin)
        assert force.angle_deg == pytest.approx(np.degrees(np.arccos(cosine)), rel=1e-9)


def test_muscle_three_of_the_module_takes_the_pennation_for_the_strength():
    points = JawPoints.from_array(POINTS)
    muscle = EmpiricalMuscle(volume_mm3=12.0, pennation_deg=20.0, fmax_n_mm2=0.25)
    right, module = (muscle_force(3, muscle, points, slicer_compat=c).force_n for c in (False, True))
    assert module == pytest.approx(right * 20.0 / 0.25)
    assert muscle_force(3, EmpiricalMuscle(), points, slicer_compat=True).force_n == 0
    for number in (1, 2):
        assert muscle_force(number, muscle, points, slicer_compat=True) == muscle_force(number, muscle, points)


@given(st.floats(0.1, 50), st.floats(0.1, 50), st.floats(0, 180), st.floats(0.1, 500))
def test_force_and_stress_at_a_tooth(in_lever, out_lever, angle, newton):
    from ethomorph.biomechanics.levers import MuscleForce

    advantage, force = tooth_forces(MuscleForce(in_lever, newton, angle), np.array([out_lever]))
    assert advantage[0] == pytest.approx(in_lever / out_lever)
    assert force[0] == pytest.approx(newton * np.sin(np.radians(angle)) * in_lever / out_lever, abs=1e-9)
    assert stress_pa(force, np.array([2.0]))[0] == pytest.approx(force[0] / 2e-6)


def test_points_that_are_not_set():
    points = POINTS.copy()
    points[4] = 0  # exactly the origin means not set, as in the module
    jaw = JawPoints.from_array(points)
    with pytest.raises(LabelError, match="Closing Muscle 2 Insertion"):
        muscle_force(2, SimulatedMuscle(), jaw)
    points[3] = np.nan
    jaw = JawPoints.from_array(points)
    assert muscle_force(1, SimulatedMuscle(3.0, 60.0), jaw).force_n == 3.0  # a typed force needs no origin
    with pytest.raises(LabelError, match="Closing Muscle 1 Origin"):
        muscle_force(1, EmpiricalMuscle(), jaw)
    points[0] = 0
    with pytest.raises(LabelError, match="Jaw Joint"):
        JawPoints.from_array(points)
    with pytest.raises(LabelError, match="9 points"):
        JawPoints.from_array(np.ones((9, 3)))
    assert np.allclose(JawPoints.from_array(POINTS).array(), POINTS)


@pytest.mark.parametrize(
    "muscle", [SimulatedMuscle(-1.0), SimulatedMuscle(1, 190), EmpiricalMuscle(1, 90), EmpiricalMuscle(np.nan)]
)
def test_impossible_muscles(muscle):
    with pytest.raises(LabelError, match="muscle 1"):
        muscle_force(1, muscle, JawPoints.from_array(POINTS))


def test_angle():
    assert angle_at(np.zeros(3), np.array([1.0, 0, 0]), np.array([0, 2.0, 0])) == pytest.approx(90)
    assert angle_at(np.zeros(3), np.array([1.0, 0, 0]), np.array([-3.0, 0, 0])) == pytest.approx(180)
