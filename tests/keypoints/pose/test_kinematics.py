"""Motion with known speed, heading and angles; gaps and smoothing; the files that others read."""

from __future__ import annotations

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.keypoints.pose.data import Scheme
from ethomorph.keypoints.pose.kinematics import (
    Motion,
    filled,
    gradient,
    kinematics_table,
    read_motion,
    smoothed,
    write_movement,
)

SCHEME = Scheme(("head", "middle", "tail"), ((0, 1), (1, 2)))


def circling(frames=100, radius=50.0, fps=25.0):
    """One animal on a circle, a lap in 100 frames, head along the tangent; a second stands still in the middle."""
    t = 2 * np.pi * np.arange(frames) / 100
    place = radius * np.stack([np.cos(t), np.sin(t)], 1)
    along = 10 * np.stack([-np.sin(t), np.cos(t)], 1)
    moving = np.stack([place + along, place, place - along], 1)
    still = np.broadcast_to([[5.0, 0.0], [0.0, 0.0], [0.0, 5.0]], moving.shape)
    points = np.stack([moving, still], 1)
    return Motion(points, np.ones(points.shape[:3]), ["mover", "stone"], SCHEME, 0, fps)


def test_speed_heading_turn_and_neighbour_of_a_circle():
    table = kinematics_table(circling(), angles=[("head", "middle", "tail")], mm_per_px=0.5)
    mover = table[table["animal"] == "mover"].iloc[1:-1]
    lap = 2 * np.pi * 50 / 4
    assert np.allclose(mover["speed_px_s"], lap, rtol=2e-3) and np.allclose(mover["speed_mm_s"], lap / 2, rtol=2e-3)
    assert np.allclose(mover["turn_deg_s"], 90, rtol=1e-6)
    assert mover["heading_deg"].iloc[24] == pytest.approx(180, abs=1e-6)
    assert np.allclose(mover["angle_head_middle_tail_deg"], 180) and np.allclose(mover["length_px"], 20)
    assert set(mover["nearest"]) == {"stone"} and np.allclose(mover["nearest_px"], 50, atol=4)
    stone = table[table["animal"] == "stone"]
    assert (stone["speed_px_s"] == 0).all() and np.allclose(stone["angle_head_middle_tail_deg"], 90)


def test_short_gaps_are_filled_and_long_ones_stay():
    points = np.arange(40.0)[:, None] * [1.0, 2.0]
    holed = points.copy()
    holed[[5, 6]], holed[20:30], holed[38:] = np.nan, np.nan, np.nan
    closed = filled(holed, 3)
    assert np.allclose(closed[:20], points[:20]) and np.isnan(closed[20:30]).all() and np.isnan(closed[38:]).all()


def test_smoothing_keeps_a_parabola_and_calms_noise():
    t = np.arange(2000.0)
    curve = (0.1 * t**2)[:, None]
    assert np.allclose(smoothed(curve, 9), curve)
    noise = np.random.default_rng(0).normal(0, 1, curve.shape)
    calm = smoothed(curve + noise, 11) - curve
    # the weights of a quadratic through 11 points have a sum of squares of 0.2075
    assert calm.std() == pytest.approx(np.sqrt(0.2075), rel=0.1)
    holed = curve.copy()
    holed[30] = np.nan
    assert np.isnan(smoothed(holed, 9)[30]) and np.isfinite(smoothed(holed, 9)[29])


def test_angles_turn_through_the_cut_at_180():
    turning = np.array([[170.0], [-170.0], [-150.0]])
    assert gradient(turning, circular=True)[:, 0].tolist() == [20, 20, 20]


def test_labels_become_motion_and_netcdf(tmp_path, toys):
    points = toys.paths(2, 12)
    motion = read_motion(toys.labels_file(tmp_path / "a.slp", points, "toy.mp4"), fps=25)
    assert motion.names == ["animal 1", "animal 2"] and np.allclose(motion.points, points, atol=1e-4)
    xarray = pytest.importorskip("xarray")
    write_movement(motion, tmp_path / "a.nc")
    with xarray.open_dataset(tmp_path / "a.nc", engine="h5netcdf") as data:
        assert data.position.dims == ("time", "space", "keypoints", "individuals")
        assert data.attrs["ds_type"] == "poses" and list(data.keypoints.values) == ["head", "middle", "tail"]
        assert float(data.position.sel(keypoints="tail", space="y", individuals="animal_2")[7]) == pytest.approx(
            points[7, 1, 2, 1], abs=1e-4
        )


def test_an_unknown_node_is_named():
    with pytest.raises(LabelError, match="no node 'fin'"):
        kinematics_table(circling(), front="fin")
