"""dlib's shape predictor as ml-morph uses it, to compare with: nothing of ours but the options.

Boxes are the extent of the marked landmarks, in training and in testing; coordinates are cut to whole pixels. Use
`ert.ErtModel` for work.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ethomorph.keypoints.ert_settings import DLIB_OPTIONS, ErtSettings


def plain_dlib(
    images: Sequence[np.ndarray], points: Sequence[np.ndarray], test_images: Sequence[np.ndarray],
    test_points: Sequence[np.ndarray], settings: ErtSettings, *, seed: int = 0, threads: int = 2,
) -> np.ndarray:
    """Landmarks (n, p, 2) px that plain dlib finds in test pictures, inside boxes taken from their true landmarks.

    Parameters
    ----------
    images, test_images : uint8 (y, x), one specimen each.
    points, test_points : (p, 2) px each, none missing; of the test pictures only the box is used.
    settings : only what dlib knows of them.
    """
    import dlib

    options = dlib.shape_predictor_training_options()
    for name in DLIB_OPTIONS:
        setattr(options, name, getattr(settings, name))
    options.random_seed, options.num_threads = str(seed), threads
    marked = []
    for shape in points:
        parts = [dlib.point(int(x), int(y)) for x, y in shape]
        marked.append([dlib.full_object_detection(_extent(shape), parts)])
    predictor = dlib.train_shape_predictor([np.ascontiguousarray(i) for i in images], marked, options)
    found = [predictor(np.ascontiguousarray(i), _extent(p)) for i, p in zip(test_images, test_points, strict=True)]
    return np.array([[(part.x, part.y) for part in one.parts()] for one in found], dtype=float)


def _extent(points: np.ndarray) -> object:
    import dlib

    left, top, right, bottom = (int(v) for v in (*points.min(axis=0), *points.max(axis=0)))
    return dlib.rectangle(left, top, right, bottom)
