"""The process that trains regression trees: ``python -m ethomorph.keypoints.ert_child FOLDER``.

It imports dlib and nothing else that takes time; `ert_train` writes the folder, watches, and reads what comes of it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

OPTIONS, DATASET, PREDICTOR, ERRORS = "options.json", "dataset.xml", "predictor.dat", "errors.txt"


def main(folder: Path) -> None:
    """Train on the folder's data set with its options; dlib reports progress on standard output."""
    import dlib

    options = dlib.shape_predictor_training_options()
    for name, value in json.loads((folder / OPTIONS).read_text()).items():
        setattr(options, name, value)
    options.be_verbose = True
    dlib.train_shape_predictor(str(folder / DATASET), str(folder / PREDICTOR), options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
