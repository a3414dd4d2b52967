"""Poses in video as `sleap_io.Labels`, from and to the files labs keep them in; a reader or writer a format.

SLEAP (.slp, .pkg.slp), its analysis HDF5, DeepLabCut and Lightning Pose tables and projects, COCO, NWB, JABS and
sleap-io's CSV. Rows stay aligned with frames also where no animal is seen. Pictures are found here, not decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.files import atomic_path, write_text
from ethomorph.core.landmarks import LandmarkSet
from ethomorph.formats.h5 import damaged, open_h5
from ethomorph.formats.video import SUFFIXES, EmbeddedFilm, Film, PictureFilm, open_film

if TYPE_CHECKING:
    import sleap_io

PREDICTION_NAME = re.compile(r"(.+?)(?:DLC_|DeepCut_)")
"""How DeepLabCut names a table of predictions after its video."""


def read_poses(path: str | Path) -> tuple[sleap_io.Labels, list[str]]:
    """Read poses in any format.

    Parameters
    ----------
    path : a label file, or the folder or ``config.yaml`` of a DeepLabCut project.

    Returns
    -------
    The labels, their videos not opened, and what reading had to decide, one sentence each.

    Raises
    ------
    FormatError : an unknown or damaged file.
    LabelError : several skeletons, or none.
    """
    path = Path(path)
    if path.is_dir() and (path / "config.yaml").is_file():
        path = path / "config.yaml"
    if not path.is_file():
        raise FormatError("no such label file", place=path, fix="correct the path")
    name = path.name.lower()
    reader = next((one for suffix, one in READERS.items() if name.endswith(suffix)), None)
    if reader is None:
        raise FormatError(
            f"no pose format has the suffix {path.suffix!r}", place=path, fix=f"use one of {', '.join(READERS)}"
        )
    labels, notes = reader(path)
    return labels, [*notes, *settled(labels, path)]


def write_poses(labels: sleap_io.Labels, path: str | Path) -> list[str]:
    """Write poses in the format of the suffix, atomically; returns what the format cannot hold, one sentence each.

    Raises
    ------
    FormatError : a suffix that no writer knows.
    """
    path = Path(path)
    name = path.name.lower()
    writer = next((one for suffix, one in WRITERS.items() if name.endswith(suffix)), None)
    if writer is None:
        raise FormatError(
            f"no pose format has the suffix {path.suffix!r}", place=path, fix=f"use one of {', '.join(WRITERS)}"
        )
    return writer(labels, path)


def settled(labels: sleap_io.Labels, path: Path) -> list[str]:
    """Refuse what is not one scheme; bring frames into order; say what was decided."""
    schemes = {tuple(skeleton.node_names) for skeleton in labels.skeletons}
    if len(schemes) != 1:
        raise LabelError(
            f"has {len(schemes)} different skeletons", place=path, fix="separate them into files of one skeleton"
        )
    if not next(iter(schemes)):
        raise LabelError("its skeleton has no nodes", place=path, fix="export it again")
    place = {id(video): i for i, video in enumerate(labels.videos)}
    labels.labeled_frames.sort(key=lambda frame: (place.get(id(frame.video), 0), frame.frame_idx))
    return []


def find_films(labels: sleap_io.Labels, path: str | Path, media: str | Path | None = None) -> list[Film]:
    """Each video of the labels as a film, found as named, beside the label file, or under `media`.

    Raises
    ------
    LabelError : a video or picture that is nowhere.
    ImageError : a video that cannot be read.
    """
    return [film_of(video, Path(path), Path(media) if media else None, len(labels.videos)) for video in labels.videos]


def film_of(video: sleap_io.Video, path: Path, media: Path | None, videos: int = 1) -> Film:
    """One video of a label file as a film; see `find_films`."""
    dataset = (video.backend_metadata or {}).get("dataset") or getattr(video.backend, "dataset", None)
    if dataset and str(video.filename).lower().endswith(".slp"):
        video.open()
        return EmbeddedFilm(video)
    if isinstance(video.filename, list):
        index = by_name(media)
        return PictureFilm([found_picture(Path(str(name)), path, media, index) for name in video.filename])
    return open_film(found_video(str(video.filename), path, media, videos))


def found_video(name: str, path: Path, media: Path | None, videos: int) -> Path:
    """Where a video lies; see `find_films`."""
    wanted = Path(name.replace("\\", "/"))
    if media is not None and media.is_file() and videos == 1:
        return media
    places = [wanted, path.parent / wanted, path.parent / wanted.name]
    if media is not None and media.is_dir():
        places += [media / wanted, media / wanted.name]
    for place in places:
        if place.is_file() or (place.is_dir() and place != path.parent):
            return place
    folders = [media] if media is not None and media.is_dir() else [path.parent]
    for folder in folders:
        alike = [p for p in sorted(folder.rglob(f"{glob_escape(wanted.stem)}.*")) if p.suffix.lower() in SUFFIXES]
        if len(alike) == 1:
            return alike[0]
    raise LabelError(
        f"video {wanted.name} was not found", place=path, fix="give its folder, or the video, with --images"
    )


def found_picture(name: Path, path: Path, media: Path | None, index: dict[str, list[Path]]) -> Path:
    """Where a picture lies: as named, beside the labels, or under `media` by as much of its path as fits."""
    for place in (name, path.parent / name, path.parent / name.name):
        if place.is_file():
            return place
    for keep in range(len(name.parts), 0, -1):
        tail = Path(*name.parts[-keep:])
        if media is not None and (media / tail).is_file():
            return media / tail
    alike = index.get(name.name, [])
    if len(alike) == 1:
        return alike[0]
    what = "was not found" if not alike else f"stands in {len(alike)} folders"
    raise LabelError(f"picture {name} {what}", place=path, fix="give the folder of the pictures with --images")


def by_name(media: Path | None) -> dict[str, list[Path]]:
    """Every file under a folder by its name."""
    found: dict[str, list[Path]] = {}
    if media is not None and media.is_dir():
        for one in sorted(media.rglob("*")):
            if one.is_file():
                found.setdefault(one.name, []).append(one)
    return found


def glob_escape(text: str) -> str:
    import glob

    return glob.escape(text)


def labels_of_table(landmarks: LandmarkSet, path: Path) -> sleap_io.Labels:
    """A DeepLabCut table as labels: pictures of one folder are one video, numbered rows are frames of one.

    Numbered rows without any animal become frames without instances.
    """
    import sleap_io

    skeleton = sleap_io.Skeleton(nodes=list(landmarks.names), edges=list(landmarks.edges))
    tracks: dict[str, sleap_io.Track] = {}
    frames: dict[tuple[str, int], sleap_io.LabeledFrame] = {}
    pictures: dict[str, list[str]] = {}
    videos: dict[str, sleap_io.Video] = {}
    for row, specimen in enumerate(landmarks):
        if specimen.image is None:
            key, number = "", int(specimen.attributes.get("frame", row))
            stem = PREDICTION_NAME.match(path.stem)
            videos.setdefault(key, sleap_io.Video(f"{stem[1] if stem else path.stem}.mp4", open_backend=False))
        else:
            name = specimen.image.replace("\\", "/")
            key = str(Path(name).parent)
            listed = pictures.setdefault(key, [])
            if name not in listed:
                listed.append(name)
            number = listed.index(name)
            videos.setdefault(key, sleap_io.Video(listed, open_backend=False))
        frame = frames.setdefault((key, number), sleap_io.LabeledFrame(videos[key], number))
        track = tracks.setdefault(specimen.id, sleap_io.Track(specimen.id)) if specimen.id else None
        if specimen.visible.any():
            frame.instances.append(instance_of(specimen.points, specimen.confidence, skeleton, track))
    for key, video in videos.items():
        if key == "":
            there = {number for of, number in frames if of == key}
            for number in set(range(max(there) + 1)) - there:
                frames[key, number] = sleap_io.LabeledFrame(video, number)
        else:
            named = pictures[key]
            video.backend_metadata.update(
                type="ImageVideo", filename=named[0], filenames=named, shape=None, grayscale=None
            )
    return sleap_io.Labels(list(frames.values()), list(videos.values()), [skeleton], list(tracks.values()))


def instance_of(
    points: np.ndarray, scores: np.ndarray | None, skeleton: sleap_io.Skeleton, track: sleap_io.Track | None = None,
    *, score: float | None = None, tracking_score: float | None = None,
) -> sleap_io.Instance:  # fmt: skip
    """One animal: labelled where there are no scores, predicted where there are."""
    import sleap_io

    points = np.asarray(points, dtype=float)
    if scores is None:
        return sleap_io.Instance.from_numpy(points, skeleton=skeleton, track=track)
    scores = np.nan_to_num(np.asarray(scores, dtype=float))
    seen = np.isfinite(points).all(axis=1)
    whole = float(scores[seen].mean()) if score is None and seen.any() else float(score or 0.0)
    return sleap_io.PredictedInstance.from_numpy(
        points, skeleton=skeleton, point_scores=scores, score=whole, track=track, tracking_score=tracking_score
    )


def _read_slp(path: Path) -> tuple[sleap_io.Labels, list[str]]:
    with open_h5(path, "a SLEAP file"):
        pass
    return _by_sleap_io("load_slp", "a SLEAP file", open_videos=False)(path)


def _read_table(path: Path) -> tuple[sleap_io.Labels, list[str]]:
    from ethomorph.formats.deeplabcut import read_deeplabcut, sniff_deeplabcut

    with path.open("rb") as stream:
        head = stream.read(65536)
    if not sniff_deeplabcut(head):
        return _by_sleap_io("load_csv", "a table of poses")(path)
    landmarks = read_deeplabcut(path)
    return labels_of_table(landmarks, path), list(landmarks.notes)


def _read_h5(path: Path) -> tuple[sleap_io.Labels, list[str]]:
    with open_h5(path, "a file of poses") as file:
        tracks, jabs = hasattr(file.get("tracks"), "shape"), "poseest" in file
    if tracks:
        return _by_sleap_io("load_analysis_h5", "a SLEAP analysis file")(path)
    if jabs:
        return _by_sleap_io("load_jabs", "a JABS pose file")(path)
    from ethomorph.formats.deeplabcut_h5 import read_deeplabcut_h5

    landmarks = read_deeplabcut_h5(path)
    return labels_of_table(landmarks, path), list(landmarks.notes)


def _read_coco(path: Path) -> tuple[sleap_io.Labels, list[str]]:
    from ethomorph.formats.coco import read_coco
    from ethomorph.formats.sleap_slp import labels_of

    landmarks = read_coco(path)
    labels, sentences = labels_of(landmarks)
    return labels, [*landmarks.notes, *sentences]


def _read_project(path: Path) -> tuple[sleap_io.Labels, list[str]]:
    from ethomorph.formats.deeplabcut import read_deeplabcut

    tables = sorted((path.parent / "labeled-data").glob("*/CollectedData_*.csv"))
    if not tables:
        raise FormatError(
            "no labeled-data/*/CollectedData_*.csv beside it", place=path, fix="give a DeepLabCut project"
        )
    sets = [read_deeplabcut(table) for table in tables]
    whole = LandmarkSet([s for one in sets for s in one], sets[0].names, source=str(path))
    whole.edges = [
        (whole.names.index(a), whole.names.index(b))
        for a, b in _skeleton_of(path)
        if a in whole.names and b in whole.names
    ]
    return labels_of_table(whole, path), [note for one in sets for note in one.notes]


def _skeleton_of(path: Path) -> list[tuple[str, str]]:
    """The edges that a DeepLabCut project draws."""
    import yaml

    with damaged(path, "a DeepLabCut project"):
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return [(str(pair[0]), str(pair[1])) for pair in document.get("skeleton") or [] if len(pair) == 2]


def _by_sleap_io(function: str, what: str, **options: Any) -> Callable[[Path], tuple[sleap_io.Labels, list[str]]]:
    def read(path: Path) -> tuple[sleap_io.Labels, list[str]]:
        with damaged(path, what):
            import sleap_io

            return getattr(sleap_io, function)(str(path), **options), []

    return read


READERS: dict[str, Callable[[Path], tuple[Any, list[str]]]] = {
    ".slp": _read_slp,
    ".nwb": _by_sleap_io("load_nwb", "an NWB file"),
    ".json": _read_coco,
    ".yaml": _read_project,
    ".csv": _read_table,
    ".h5": _read_h5,
}
"""Suffix to reader; what lies inside decides the rest."""


def write_slp(labels: sleap_io.Labels, path: Path) -> list[str]:
    """SLEAP's own file; holds everything."""
    import sleap_io

    with atomic_path(path) as temporary:
        temporary.unlink()
        sleap_io.save_slp(labels, str(temporary), embed=False, verbose=False)
    return []


def write_package(labels: sleap_io.Labels, path: Path) -> list[str]:
    """A SLEAP file with its labelled frames inside; the videos must be where the labels say."""
    import sleap_io

    with atomic_path(path) as temporary, damaged(path, "writable with its frames"):
        inner = temporary.with_name(temporary.stem + ".pkg.slp")
        try:
            sleap_io.save_slp(labels, str(inner), embed="user", verbose=False)
            inner.replace(temporary)
        finally:
            inner.unlink(missing_ok=True)
    return []


def write_analysis(labels: sleap_io.Labels, path: Path) -> list[str]:
    """SLEAP's analysis HDF5: a row a frame of the video, empty ones too; one file a video."""
    import sleap_io

    tracked, notes = with_tracks(labels)
    paths = (
        [path] if len(labels.videos) == 1 else [path.with_stem(f"{path.stem}.{i}") for i in range(len(labels.videos))]
    )
    for video, target in zip(tracked.videos, paths, strict=True):
        with atomic_path(target) as temporary:
            sleap_io.save_analysis_h5(tracked, str(temporary), video=video, all_frames=True)
    return [*notes, *([f"{len(paths)} videos, a file each: {paths[0].name} ..."] if len(paths) > 1 else [])]


def write_table(labels: sleap_io.Labels, path: Path) -> list[str]:
    """A DeepLabCut table with a row a frame, empty ones too, and likelihoods where there are any."""
    import csv
    import io

    tracked, notes = with_tracks(labels)
    if len(labels.videos) > 1:
        notes.append(f"a DeepLabCut table holds one video: the first of {len(labels.videos)} is written")
    video, nodes = tracked.videos[0], tracked.skeletons[0].node_names
    frames = {int(f.frame_idx): f for f in tracked.labeled_frames if f.video is video}
    animals = list(tracked.tracks)
    scored = any(hasattr(i, "score") for f in frames.values() for i in f.instances)
    coords = ("x", "y", "likelihood") if scored else ("x", "y")
    columns = [(t.name, node, c) for t in animals for node in nodes for c in coords]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["scorer", *["ethomorph"] * len(columns)])
    for level, name in enumerate(("individuals", "bodyparts", "coords")):
        writer.writerow([name, *(column[level] for column in columns)])
    for number in range(max(frames, default=-1) + 1):
        listed = isinstance(video.filename, list)
        if listed and number not in frames:
            continue
        of = {id(i.track): i for i in (frames[number].instances if number in frames else [])}
        row: list[str] = [str(video.filename[number]) if listed else str(number)]
        for track in animals:
            row += _cells(of.get(id(track)), len(nodes), scored)
        writer.writerow(row)
    write_text(path, text.getvalue())
    return [*notes, "a DeepLabCut table does not hold edges and symmetries"]


def _cells(instance: sleap_io.Instance | None, nodes: int, scored: bool) -> list[str]:
    """One animal's cells in a row; empty where it or a node is not seen."""
    if instance is None:
        return [""] * nodes * (3 if scored else 2)
    points = np.asarray(instance.numpy(), dtype=float)[:, :2]
    scores = instance.points["score"] if hasattr(instance, "score") else np.ones(nodes)
    cells = []
    for point, score in zip(points, scores, strict=True):
        seen = np.isfinite(point).all()
        cells += [f"{v:.6g}" if seen else "" for v in point]
        cells += [f"{score:.6g}" if seen else ""] if scored else []
    return cells


def write_neurodata(labels: sleap_io.Labels, path: Path) -> list[str]:
    """An NWB file with ndx-pose, a row a frame, empty ones too."""
    from ethomorph.formats.nwb_poses import write_nwb

    tracked, notes = with_tracks(labels)
    return [*notes, *write_nwb(tracked, path)]


def _by_saver(function: str, what: str) -> Callable[[Any, Path], list[str]]:
    def write(labels: sleap_io.Labels, path: Path) -> list[str]:
        import sleap_io

        with atomic_path(path) as temporary, damaged(path, f"writable as {what}"):
            temporary.unlink()
            getattr(sleap_io, function)(labels, str(temporary))
            if not temporary.exists():
                raise FormatError(f"nothing was written as {what}", place=path)
        return []

    return write


WRITERS: dict[str, Callable[[Any, Path], list[str]]] = {
    ".pkg.slp": write_package,
    ".slp": write_slp,
    ".nwb": write_neurodata,
    ".json": _by_saver("save_coco", "COCO"),
    ".csv": write_table,
    ".h5": write_analysis,
}
"""Suffix to writer."""


def with_tracks(labels: sleap_io.Labels) -> tuple[sleap_io.Labels, list[str]]:
    """A copy in which every instance has a track: those without one are numbered within their frame."""
    import sleap_io

    loose = sum(i.track is None for frame in labels.labeled_frames for i in frame.instances)
    if not loose:
        return labels, []
    copied = labels.copy()
    slots: dict[int, sleap_io.Track] = {}
    for frame in copied.labeled_frames:
        for number, instance in enumerate(i for i in frame.instances if i.track is None):
            instance.track = slots.setdefault(number, sleap_io.Track(f"animal {number + 1}"))
    copied.tracks = [*copied.tracks, *slots.values()]
    return copied, [f"{loose} instances without a track are numbered within their frame, which is no identity"]


def video_named(name: str | list[str]) -> sleap_io.Video:
    """A video by its path, or by those of its pictures, described so that sleap-io saves and reads it unopened."""
    import sleap_io

    if isinstance(name, str):
        return sleap_io.Video(filename=name, open_backend=False)
    described = {"type": "ImageVideo", "filename": name[0], "filenames": name, "shape": None, "grayscale": None}
    return sleap_io.Video(filename=name, open_backend=False, backend_metadata=described)


def renamed_videos(labels: sleap_io.Labels, films: Iterable[Film]) -> sleap_io.Labels:
    """The labels with each video's name being where its film lies, so that SLEAP opens it."""
    for video, film in zip(labels.videos, films, strict=True):
        if isinstance(film, PictureFilm):
            video.filename = [str(path) for path in film.paths]
            video.backend_metadata.update(type="ImageVideo", filename=video.filename[0], filenames=video.filename)
        elif hasattr(film, "path"):
            video.filename = str(film.path)
    return labels
