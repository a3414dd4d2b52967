"""Tangent space: projection, there and back, and the variance that components keep."""

import numpy as np
import pytest

from ethomorph.core.errors import LabelError
from ethomorph.shape.procrustes import generalized_procrustes
from ethomorph.shape.tangent import tangent_pca, tangent_project


@pytest.fixture(scope="module")
def aligned():
    rng = np.random.default_rng(0)
    return generalized_procrustes(rng.normal(size=(7, 3)) + 0.1 * rng.normal(size=(25, 7, 3))).aligned


def test_projection_is_orthogonal_to_the_mean_and_changes_little(aligned):
    mean = aligned.mean(axis=0)
    projected = tangent_project(aligned, mean)
    pole = (mean / np.linalg.norm(mean)).ravel()
    np.testing.assert_allclose(projected.reshape(25, -1) @ pole, 1)
    assert 0 < np.abs(projected - aligned).max() < 0.05
    np.testing.assert_allclose(tangent_project(projected, mean), projected)


def test_components_hold_all_variance_and_lead_back(aligned):
    space = tangent_pca(aligned)
    projected = tangent_project(aligned, aligned.mean(axis=0))
    np.testing.assert_allclose(space.shape_at(space.scores), projected, atol=1e-12)
    np.testing.assert_allclose(space.variances.sum(), projected.var(axis=0, ddof=1).sum())
    np.testing.assert_allclose(space.scores.var(axis=0, ddof=1), space.variances)
    assert space.explained.sum() == pytest.approx(1)
    assert (np.diff(space.variances) <= 0).all()
    np.testing.assert_allclose(space.vectors @ space.vectors.T, np.eye(len(space.vectors)), atol=1e-10)
    # Shape space of p landmarks in k dimensions has k p - k - k (k - 1) / 2 - 1 dimensions.
    assert len(space.variances) == 7 * 3 - 3 - 3 - 1


def test_raw_configurations_project_to_the_scores_they_had(aligned):
    space = tangent_pca(aligned, components=4)
    raw = 12.5 * aligned[:, :, [1, 2, 0]] + [3, 4, 5]  # a cyclic exchange of axes is a rotation
    np.testing.assert_allclose(space.project(raw), space.scores, atol=1e-8)


def test_gaps_are_refused_by_specimen(aligned):
    broken = aligned.copy()
    broken[4, 2] = np.nan
    with pytest.raises(LabelError, match="specimens 5 have missing landmarks"):
        tangent_pca(broken)
