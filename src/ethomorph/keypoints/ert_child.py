"""The process that trains regression trees: ``python -m ethomorph.keypoints.ert_child FOLDER``.

It imports dlib and nothing else that takes time; `ert_train` writes the folder, watches, and reads what comes of it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import sys
import time
from pathlib import Path

OPTIONS, DATASET, PREDICTOR, ERRORS = "options.json", "dataset.xml", "predictor.dat", "errors.txt"
SECONDS = "seconds.txt"


def main(folder: Path) -> None:
    """Train on the folder's data set with its options; dlib reports progress on standard output."""
    import dlib

    options = dlib.shape_predictor_training_options()
    for name, value in json.loads((folder / OPTIONS).read_text()).items():
        setattr(options, name, value)
    options.be_verbose = True
    unbuffer_standard_output()
    started = time.monotonic()
    dlib.train_shape_predictor(str(folder / DATASET), str(folder / PREDICTOR), options)
    (folder / SECONDS).write_text(str(time.monotonic() - started))


def unbuffer_standard_output() -> None:
    """dlib writes its progress without flushing; where the C library can be told so, it arrives at once."""
    with contextlib.suppress(OSError, AttributeError, ValueError):
        library = ctypes.CDLL(None)
        stream = ctypes.c_void_p.in_dll(library, "__stdoutp" if sys.platform == "darwin" else "stdout")
        library.setvbuf(stream, None, 2 if sys.platform != "win32" else 4, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
