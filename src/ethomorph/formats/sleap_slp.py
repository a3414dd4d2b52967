"""SLEAP files (.slp), read and written with sleap-io: every instance is a specimen.

Poses in video stay in `sleap_io.Labels`; this is for exchange with sets of specimens and pictures.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ethomorph.core.errors import LabelError
from ethomorph.core.files import atomic_path
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.deeplabcut_h5 import sniff_h5
from ethomorph.formats.h5 import damaged, open_h5
from ethomorph.formats.pictures import PICTURE_SUFFIXES
from ethomorph.formats.record import Format, Holds, fitted, listed, table_names
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import one_line

if TYPE_CHECKING:
    import sleap_io

TITLE = "SLEAP"
HOLDS = Holds(names=True, ids=True, pictures=True, confidence=True, edges=True, symmetry=True)
_SETTLED = Holds(names=True, ids=True, pictures=True, confidence=True, edges=True, symmetry=True, attributes=True)
FRAME = "frame"


def read_slp(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read a SLEAP file in frame "image".

    The track's name is the specimen's id, the picture or video is `image`, and in a video ``attributes["frame"]`` is
    the frame's number. In a frame that a person labelled, predictions are left out, which the notes say.

    Raises FormatError where the file is damaged, LabelError where skeletons differ.
    """
    path = Path(path)
    with open_h5(path, "a SLEAP file"):
        pass
    with damaged(path, "a SLEAP file"):
        import sleap_io

        labels = sleap_io.load_slp(str(path), open_videos=False)
        return from_labels(labels, path, gaps)


def write_slp(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write a SLEAP file; returns a sentence for everything that it cannot hold.

    Specimens with confidence become predicted instances, ids tracks. Pictures are named as the set names them and not
    embedded.
    """
    import sleap_io

    labels, sentences = labels_of(landmarks)
    with atomic_path(path) as temporary:
        temporary.unlink()
        sleap_io.save_slp(labels, str(temporary), embed=False, verbose=False)
    return sentences


def from_labels(labels: sleap_io.Labels, path: str | Path = "", gaps: Gaps = "refuse") -> LandmarkSet:
    """A `LandmarkSet` of `sleap_io.Labels`; `path` for messages."""
    import sleap_io

    schemes = {tuple(skeleton.node_names) for skeleton in labels.skeletons}
    if len(schemes) != 1:
        raise LabelError(
            f"has {len(schemes)} different skeletons", place=path, fix="separate them into files of one skeleton"
        )
    skeleton = labels.skeletons[0]
    specimens, passed = [], 0
    for frame in labels.labeled_frames:
        image, said = _picture(frame, path)
        marked = [i for i in frame.instances if not isinstance(i, sleap_io.PredictedInstance)]
        passed += len(frame.instances) - len(marked) if marked else 0
        for instance in marked or frame.instances:
            predicted = isinstance(instance, sleap_io.PredictedInstance)
            points = np.array(instance.numpy(), dtype=np.float64)[:, :2]
            scores = np.array(instance.points["score"], dtype=np.float64) if predicted else None
            specimens.append(
                Specimen(
                    points,
                    id=instance.track.name if instance.track is not None else "",
                    image=image,
                    confidence=scores if scores is not None and np.isfinite(scores).any() else None,
                    attributes=dict(said),
                )
            )
    notes = [f"{passed} predictions are left out of frames that a person labelled"] if passed else []
    symmetry = sorted({(min(a, b), max(a, b)) for a, b in map(tuple, skeleton.symmetry_inds)})
    return assemble(
        specimens,
        list(skeleton.node_names),
        path=Path(path),
        frame="image",
        gaps=gaps,
        notes=notes,
        edges=[(int(a), int(b)) for a, b in skeleton.edge_inds],
        symmetry=[(int(a), int(b)) for a, b in symmetry],
    )


def labels_of(landmarks: LandmarkSet) -> tuple[sleap_io.Labels, list[str]]:
    """The set as `sleap_io.Labels`, one video a picture, and a sentence for everything that they cannot hold."""
    import sleap_io

    landmarks, sentences = fitted(landmarks, TITLE, _SETTLED)
    names = table_names(landmarks.names, TITLE, sentences)
    symmetries = [(names[a], names[b]) for a, b in landmarks.symmetry]
    edges = [(names[a], names[b]) for a, b in landmarks.edges]
    skeleton = sleap_io.Skeleton(nodes=list(names), edges=edges, symmetries=symmetries)
    videos: dict[str, sleap_io.Video] = {}
    tracks: dict[str, sleap_io.Track] = {}
    frames: dict[tuple[str, int], sleap_io.LabeledFrame] = {}
    keys = [_frame_key(specimen) for specimen in landmarks]
    for specimen, (name, number) in zip(landmarks, keys, strict=True):
        if name not in videos:
            still = Path(name).suffix.lower() in PICTURE_SUFFIXES or FRAME not in specimen.attributes
            videos[name] = _still(name) if still else sleap_io.Video(filename=name, open_backend=False)
        frame = frames.setdefault((name, number), sleap_io.LabeledFrame(video=videos[name], frame_idx=number))
        track = tracks.setdefault(specimen.id, sleap_io.Track(specimen.id)) if specimen.id else None
        points = np.where(specimen.visible[:, None], specimen.points, np.nan)
        if specimen.confidence is None:
            frame.instances.append(sleap_io.Instance.from_numpy(points, skeleton=skeleton, track=track))
        else:
            scores = np.asarray(specimen.confidence, dtype=np.float64)
            mean = float(np.nanmean(scores)) if np.isfinite(scores).any() else 0.0
            frame.instances.append(
                sleap_io.PredictedInstance.from_numpy(
                    points, skeleton=skeleton, point_scores=scores, score=mean, track=track
                )
            )
    _say_losses(landmarks, keys, sentences)
    return sleap_io.Labels(
        labeled_frames=list(frames.values()),
        videos=list(videos.values()),
        skeletons=[skeleton],
        tracks=list(tracks.values()),
    ), sentences


def _still(name: str) -> sleap_io.Video:
    """A picture as a video of one frame, described so that sleap-io finds its way back without opening it."""
    import sleap_io

    described = {"type": "ImageVideo", "filename": name, "filenames": [name], "shape": None, "grayscale": None}
    return sleap_io.Video(filename=[name], open_backend=False, backend_metadata=described)


def _picture(frame: sleap_io.LabeledFrame, path: str | Path) -> tuple[str | None, dict[str, str]]:
    """What the frame's picture is called, and its number where it is one of a video."""
    video = frame.video.source_video or frame.video
    name, number = video.filename, int(frame.frame_idx)
    if isinstance(name, list):
        image = str(name[number]) if 0 <= number < len(name) else "."
        return (None if image == "." else image), {}
    if name == str(path):  # the pictures are embedded in the label file itself
        return Path(path).name, {FRAME: str(number)}
    still = Path(str(name)).suffix.lower() in PICTURE_SUFFIXES and number == 0
    return str(name), {} if still else {FRAME: str(number)}


def _frame_key(specimen: Specimen) -> tuple[str, int]:
    number = specimen.attributes.get(FRAME, "")
    image = _slashed(specimen.image or "")
    return image, int(number) if image and re.fullmatch(r"\d{1,9}", number, re.ASCII) else 0


def _slashed(name: str) -> str:
    """A picture's name as sleap-io keeps names: forward slashes, no empty steps."""
    posix = Path(one_line(name).replace("\\", "/")).as_posix()
    return "" if posix == "." else posix


def _say_losses(landmarks: LandmarkSet, keys: list[tuple[str, int]], sentences: list[str]) -> None:
    lost = list(
        dict.fromkeys(
            k
            for s, (_, n) in zip(landmarks, keys, strict=True)
            for k, v in s.attributes.items()
            if k != FRAME or v != str(n)
        )
    )
    if lost:
        sentences.append(f"SLEAP does not hold attributes: dropped {listed(lost)}")
    order = {key: i for i, key in enumerate(dict.fromkeys(keys))}
    if [order[key] for key in keys] != sorted(order[key] for key in keys):
        sentences.append("specimens are put in order of their pictures")
    mixed = {key for key, s in zip(keys, landmarks, strict=True) if s.confidence is None}
    mixed &= {key for key, s in zip(keys, landmarks, strict=True) if s.confidence is not None}
    if mixed:
        sentences.append(f"{len(mixed)} pictures mix labelled and predicted specimens: reading takes the labelled ones")
    changed = sum(_slashed(s.image or "") != (s.image or "") for s in landmarks)
    if changed:
        sentences.append(
            f"{changed} picture names are changed: SLEAP holds them with forward slashes, without line breaks"
        )
    unnamed = sum(not s.image for s in landmarks)
    if unnamed:
        sentences.append(f"{unnamed} specimens have no picture name, which SLEAP needs to show them")


FORMAT = Format("sleap", TITLE, (".slp",), sniff_h5, read_slp, write_slp, HOLDS)
