"""Pictures: what is drawn stands where the numbers say."""

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from ethomorph.shape.draw import draw_components, draw_ellipses, draw_warp
from ethomorph.shape.procrustes import generalized_procrustes
from ethomorph.shape.tangent import tangent_pca


@pytest.fixture
def sample():
    rng = np.random.default_rng(0)
    return 100 * rng.normal(size=(6, 2)) + 5 * rng.normal(size=(20, 6, 2))


def test_components_show_truth_and_prediction(sample, tmp_path):
    space = tangent_pca(generalized_procrustes(sample).aligned)
    predicted = sample.copy()
    predicted[4, 0] = np.nan
    figure = draw_components(space, groups=["a"] * 10 + ["b"] * 10, predicted=predicted, title="wings")
    scatter = figure.axes[0].collections
    np.testing.assert_allclose(scatter[0].get_offsets(), space.scores[:10, :2])
    assert [len(c.get_offsets()) for c in scatter] == [10, 9, 10, 10]
    # Predictions equal to the truth lie on it.
    np.testing.assert_allclose(scatter[3].get_offsets(), space.scores[10:, :2], atol=1e-9)
    figure.savefig(tmp_path / "pca.png")
    assert (tmp_path / "pca.png").stat().st_size > 5000


def test_warp_grid_bends_as_the_spline_says(sample):
    source, target = sample[0], sample[1]
    panel = draw_warp(source, target, magnify=2, edges=[(0, 1)]).axes[0]
    np.testing.assert_allclose(panel.collections[1].get_offsets(), source + 2 * (target - source))
    assert panel.yaxis_inverted() and not draw_warp(source, target, y_down=False).axes[0].yaxis_inverted()
    straight = draw_warp(source, source).axes[0].lines[0].get_xydata()
    assert np.ptp(straight, axis=0).min() == pytest.approx(0, abs=1e-9)


def test_ellipses_hold_their_share_of_gaussian_errors(sample):
    rng = np.random.default_rng(1)
    errors = rng.multivariate_normal([3, 0], [[9, 4], [4, 4]], size=(4000, 6))
    errors[:5, 0] = np.nan
    figure = draw_ellipses(sample[0], errors, names=list("abcdef"), points=False)
    ellipses = [patch for patch in figure.axes[0].patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 6
    for j, ellipse in enumerate(ellipses):
        np.testing.assert_allclose(np.array(ellipse.center) - sample[0, j], [3, 0], atol=0.25)
        angle = np.radians(ellipse.angle)
        local = (sample[0, j] + errors[5:, j] - ellipse.center) @ np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        inside = ((2 * local / [ellipse.width, ellipse.height]) ** 2).sum(axis=1) < 1
        assert inside.mean() == pytest.approx(0.95, abs=0.015)
