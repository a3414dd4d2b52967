"""COCO keypoint JSON: pictures with their sizes, one annotation a specimen, visibility flags.

It reads annotations, not bare detection results; masks and segmentations are another kind of label.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from ethomorph.core.errors import FormatError, LabelError
from ethomorph.core.files import write_json
from ethomorph.core.landmarks import LandmarkSet, Specimen
from ethomorph.formats.record import Format, Holds, fitted, listed
from ethomorph.formats.scheme import Gaps, assemble
from ethomorph.formats.text import as_is, finite, get, load_json, shown

TITLE = "COCO keypoints"
HOLDS = Holds(names=True, ids=True, pictures=True, boxes=True, attributes=True, edges=True)
CATEGORY = "specimen"  # the category of a set that names none
OCCLUDED = "occluded"  # attribute: numbers from 1 of the landmarks that are marked but hidden (visibility 1)
_USED = frozenset(
    {"id", "image_id", "category_id", "keypoints", "num_keypoints", "bbox", "area", "iscrowd", "specimen", "attributes"}
)


def read_coco(path: str | Path, *, gaps: Gaps = "refuse") -> LandmarkSet:
    """Read COCO keypoints in frame "image".

    Visibility 0 is missing; visibility 1 (hidden but marked) keeps its point and is listed in
    ``attributes["occluded"]``. A category's name is ``attributes["category"]``, unless it is "specimen". Annotations
    without keypoints are left out, and other keys not kept, as the notes say.

    Raises FormatError for what is not COCO, LabelError where categories in use have different keypoints, or an
    annotation's number of keypoints differs and `gaps` is "refuse".
    """
    path = Path(path)
    root = as_is(load_json(path), dict, "the file", str(path))
    images = {_key(i, "id", f"{path}, image {n}"): i for n, i in enumerate(_objects(root, "images", path), 1)}
    categories = {
        _key(c, "id", f"{path}, category {n}"): c for n, c in enumerate(_objects(root, "categories", path), 1)
    }
    specimens: list[Specimen] = []
    used: dict[Any, None] = {}
    empty = strangers = 0
    ignored: dict[str, None] = {}
    for number, annotation in enumerate(_objects(root, "annotations", path), 1):
        place = f"{path}, annotation {number}"
        if not annotation.get("keypoints"):
            empty += 1
            continue
        image_id, category_id = _key(annotation, "image_id", place), _key(annotation, "category_id", place)
        if image_id not in images:
            raise FormatError(f"image_id {shown(image_id)} is not among the images", place=place)
        if category_id not in categories:
            refuse_guess(categories, category_id, place)
            strangers += 1
            category_id = next(iter(categories))
        used[category_id] = None
        specimens.append(_specimen(annotation, images[image_id], categories[category_id], place))
        ignored |= dict.fromkeys(key for key in annotation if key not in _USED)
    if not specimens:
        raise FormatError("no annotation has keypoints", place=path)
    notes: list[str] = []
    names, edges = _scheme([categories[key] for key in used], path, notes)
    if strangers:
        notes.append(f"{strangers} annotations name a category that is not listed: all listed have the same keypoints")
    if empty:
        notes.append(f"{empty} annotations without keypoints are left out")
    if ignored:
        notes.append(f"keys of annotations that are not kept: {listed(list(ignored))}")
    return assemble(specimens, names, path=path, frame="image", gaps=gaps, notes=notes, edges=edges)


def write_coco(landmarks: LandmarkSet, path: str | Path) -> list[str]:
    """Write COCO keypoints; returns a sentence for everything that it cannot hold.

    A specimen without a box gets the one around its points. Ids and attributes go into the keys ``specimen`` and
    ``attributes``, which other programs pass over.
    """
    landmarks, sentences = fitted(landmarks, TITLE, HOLDS)
    kinds = list(dict.fromkeys(s.attributes.get("category") or CATEGORY for s in landmarks))
    categories = [
        {
            "id": i,
            "name": kind,
            "supercategory": "animal",
            "keypoints": landmarks.names,
            "skeleton": [[a + 1, b + 1] for a, b in landmarks.edges],
        }
        for i, kind in enumerate(kinds, 1)
    ]
    images: dict[tuple[str, tuple[int, int] | None], dict[str, Any]] = {}
    annotations = []
    unsized = unboxed = 0
    for number, s in enumerate(landmarks, 1):
        key = (s.image or "", s.image_size)
        if key not in images:
            size = {"width": s.image_size[1], "height": s.image_size[0]} if s.image_size else {}
            unsized += not size
            images[key] = {"id": len(images) + 1, "file_name": s.image or "", **size}
        hidden = set(s.attributes.get(OCCLUDED, "").split())
        seen = s.visible
        keypoints: list[float] = []
        for i, (x, y) in enumerate(s.points.tolist()):
            keypoints += [x, y, 1 if str(i + 1) in hidden else 2] if seen[i] else [0, 0, 0]
        box = s.box
        if box is None and seen.any():
            unboxed += 1
            low, high = np.nanmin(s.points, axis=0).tolist(), np.nanmax(s.points, axis=0).tolist()
            box = (low[0], low[1], high[0], high[1])
        edges = [float(box[0]), float(box[1]), float(box[2] - box[0] + 1), float(box[3] - box[1] + 1)] if box else None
        extra = {k: v for k, v in s.attributes.items() if k not in ("category", OCCLUDED)}
        annotation = {
            "id": number,
            "image_id": images[key]["id"],
            "category_id": kinds.index(s.attributes.get("category") or CATEGORY) + 1,
            "keypoints": keypoints,
            "num_keypoints": int(seen.sum()),
            "iscrowd": 0,
            "specimen": s.id,
        }
        if edges:
            annotation |= {"bbox": edges, "area": edges[2] * edges[3]}
        if extra:
            annotation["attributes"] = extra
        annotations.append(annotation)
    write_json(path, {"images": list(images.values()), "categories": categories, "annotations": annotations})
    if unsized:
        sentences.append(f"the sizes of {unsized} pictures are not known and left out, which some COCO readers need")
    if unboxed:
        sentences.append(f"{unboxed} specimens without a box are given the box around their points")
    return sentences


def sniff_coco(head: bytes) -> bool:
    """Whether it is a JSON object with COCO's keys, and no Slicer markups."""
    if re.match(rb"(?:\xef\xbb\xbf)?\s*\{", head) is None or b'"markups"' in head:
        return False
    return any(key in head for key in (b'"annotations"', b'"images"', b'"keypoints"', b'"categories"'))


def refuse_guess(categories: dict[Any, dict[str, Any]], category_id: Any, place: str) -> None:
    """FormatError for a category that is not listed, unless all that are listed have the same keypoints."""
    if len({str(category.get("keypoints")) for category in categories.values()}) != 1:
        raise FormatError(f"category_id {shown(category_id)} is not among the categories", place=place)


def _objects(root: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    return [as_is(item, dict, f"an item of {key!r}", str(path)) for item in get(root, key, list, str(path))]


def _key(item: dict[str, Any], name: str, place: str) -> int | str:
    value = item.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise FormatError(f"{name!r} is {shown(value)}, expected a number", place=place)
    return value


def _specimen(annotation: dict[str, Any], image: dict[str, Any], category: dict[str, Any], place: str) -> Specimen:
    flat = as_is(annotation["keypoints"], list, "'keypoints'", place)
    if len(flat) % 3:
        raise FormatError(f"keypoints has {len(flat)} numbers, expected three a landmark", place=place)
    triples = np.array([finite(value, place) for value in flat], dtype=np.float64).reshape(-1, 3)
    points, flags = triples[:, :2].copy(), triples[:, 2]
    points[~(flags > 0)] = np.nan
    attributes = _attributes(annotation, place)
    name = category.get("name")
    if isinstance(name, str) and name and name != CATEGORY:
        attributes["category"] = name
    hidden = np.flatnonzero(flags == 1) + 1
    if len(hidden):
        attributes[OCCLUDED] = " ".join(map(str, hidden))
    called = annotation.get("specimen", annotation.get("id", ""))
    file_name = image.get("file_name")
    return Specimen(
        points,
        id=str(called) if isinstance(called, (str, int)) else "",
        image=file_name if isinstance(file_name, str) and file_name else None,
        image_size=_size(image),
        box=_box(annotation.get("bbox"), place),
        attributes=attributes,
    )


def _attributes(annotation: dict[str, Any], place: str) -> dict[str, str]:
    given = annotation.get("attributes") or {}
    return {str(k): v if isinstance(v, str) else str(v) for k, v in as_is(given, dict, "'attributes'", place).items()}


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    sane = all(isinstance(v, int) and not isinstance(v, bool) and 0 < v <= 10**6 for v in (height, width))
    return (int(height), int(width)) if sane else None  # type: ignore[arg-type]


def _box(box: Any, place: str) -> tuple[float, float, float, float] | None:
    if box is None or box == []:
        return None
    values = [finite(value, f"{place}, bbox") for value in as_is(box, list, "'bbox'", place)]
    if len(values) != 4 or np.isnan(values).any():
        raise FormatError(f"bbox has {len(values)} numbers, expected 4", place=place)
    left, top, width, height = values
    return left, top, left + width - 1, top + height - 1


def _scheme(categories: list[dict[str, Any]], path: Path, notes: list[str]) -> tuple[list[str], list[tuple[int, int]]]:
    schemes = [tuple(str(name) for name in get(c, "keypoints", list, f"{path}, categories")) for c in categories]
    if len(set(schemes)) > 1:
        raise LabelError(
            f"categories with different keypoints are mixed: {listed([str(c.get('name')) for c in categories])}",
            place=path,
            fix="separate them into files",
        )
    names = list(schemes[0])
    skeleton = as_is(categories[0].get("skeleton") or [], list, "'skeleton'", str(path))
    pairs = [as_is(pair, list, "an edge of 'skeleton'", str(path)) for pair in skeleton]
    first = 0 if any(0 in pair for pair in pairs) else 1
    if first == 0:
        notes.append("the skeleton counts keypoints from 0, not from 1 as COCO does")
    for pair in pairs:
        if len(pair) != 2 or not all(type(end) is int and first <= end < len(names) + first for end in pair):
            raise FormatError(f"edge {shown(pair)} of the skeleton is not a pair of {len(names)} keypoints", place=path)
    edges = [(pair[0] - first, pair[1] - first) for pair in pairs]
    return names, edges


FORMAT = Format("coco", TITLE, (".json",), sniff_coco, read_coco, write_coco, HOLDS)
