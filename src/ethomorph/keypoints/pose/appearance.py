"""Who is who by looks: tracks are cut wherever animals could have been exchanged, and the pieces are given back to
individuals by what they look like, never two at a time to one.

The pieces are those of idTracker (Perez-Escudero et al. 2014); where all animals are apart for longest is learned what
each of them looks like. Animals that look alike are left as they were followed.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np

from ethomorph.keypoints.pose.pieces import LEAST, PART, Piece, give_back, is_apart, reference

ALONG, MARGIN = 20, 0.12
"""Cells of a picture of an animal along its longer side, and what is seen beyond its nodes, as a share of that side."""
KEPT = 3000
"""Pictures from which is learned how much one animal's looks vary."""
INDEPENDENT = 10
"""Frames of a piece that count as independent at most: neighbouring ones say the same."""
ROUNDS = 3
"""Of learning looks from the pieces and giving these back."""
AGREE, CHECKS = 0.8, 5
"""Looks are believed where, of at least so many pairs of stretches that are one animal, this share look like one."""
SURE = 1e9
"""Evidence, in nats, that the pieces from which looks are learned first are whose they are."""


@dataclass
class Appearance:
    """Cuts tracks into pieces frame by frame (`cut`), and says in the end who each of them is (`resolved`).

    Parameters
    ----------
    animals : how many there are.
    """

    animals: int
    pieces: list[Piece] = field(default_factory=list)
    note: str = ""
    _open: dict[int, int] = field(default_factory=dict)
    _template: np.ndarray | None = None
    _samples: list[tuple[int, np.ndarray]] = field(default_factory=list)
    _rng: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    _met: int = 0

    def cut(
        self, frame: int, points: np.ndarray, tracks: np.ndarray, waiting: np.ndarray, length: float,
        picture: np.ndarray | None,
    ) -> np.ndarray:  # fmt: skip
        """The piece of each animal of the next frame; -1 where it has no track.

        Parameters
        ----------
        points, tracks : (n, nodes, 2) px and (n,).
        waiting : (m, nodes, 2) px where animals are expected that were not found.
        picture : the frame, uint8 (height, width[, 3]).
        """
        found = np.full(len(points), -1, dtype=np.int32)
        apart = is_apart(points, waiting, length)
        for i in np.flatnonzero(tracks >= 0):
            track = int(tracks[i])
            at = self._open.get(track, -1)
            held = self.pieces[at] if at >= 0 else None
            if held is None or held.last < frame - 1 or held.apart != apart[i]:
                self.pieces.append(Piece(track, frame, frame, bool(apart[i]), at))
                at = self._open[track] = len(self.pieces) - 1
            self.pieces[at].last = frame
            found[i] = at
            if picture is not None:
                self._look(at, picture, points[i])
        return found

    def _look(self, at: int, picture: np.ndarray, points: np.ndarray) -> None:
        if self._template is None:
            if not np.isfinite(points).all():
                return
            self._template = template_of(points)
        values = looks(picture, points, self._template)
        if values is None:
            return
        piece = self.pieces[at]
        piece.see(values)
        if piece.apart:  # a reservoir: every frame is equally likely to be kept, however long the video
            self._met += 1
            if len(self._samples) < KEPT:
                self._samples.append((at, values))
            elif (place := int(self._rng.integers(self._met))) < KEPT:
                self._samples[place] = (at, values)

    def resolved(self, joined: np.ndarray) -> np.ndarray:
        """(pieces,) the number of the animal of each piece, -1 where nobody is left for it.

        Parameters
        ----------
        joined : (tracks,) numbers by following alone, which are kept where looks cannot tell, and given to the
            animals otherwise.
        """
        followed = np.array([joined[piece.track] for piece in self.pieces], dtype=np.int32)
        known = reference(self.pieces, self.animals)
        if len(known) < 2:
            self.note = "identities are as followed: the animals were never all seen apart, so nobody's looks are known"
            return followed
        axes = self._axes()
        means = np.stack([sum(p.sums) / p.count if p.count else np.zeros(len(axes)) for p in self.pieces]) @ axes
        links = [(i, p.before) for i, p in enumerate(self.pieces) if p.before >= 0]
        centres, owner = means[known], np.full(len(self.pieces), -1)
        for _ in range(ROUNDS):
            evidence = self._evidence(means, centres)
            evidence[known, np.arange(len(known))] += SURE
            owner = give_back(self.pieces, evidence, links)
            centres = self._centres(means, owner, centres)
        right, pairs = self._checked(axes, centres)
        if pairs < CHECKS or right < AGREE * pairs:
            self.note = (
                f"identities are as followed: the animals look too much alike (of {pairs} pairs of stretches of the "
                f"same animal {right} look like the same)"
            )
            return followed
        names = followed[known]
        numbers = np.where(owner >= 0, names[np.maximum(owner, 0)], -1).astype(np.int32)
        changed = int((numbers != followed).sum())
        self.note = (
            f"identities by looks: {changed} of {len(self.pieces)} pieces of tracks changed owner; {right} of {pairs} "
            "pairs of stretches of the same animal look like the same"
        )
        return numbers

    def _checked(self, axes: np.ndarray, centres: np.ndarray) -> tuple[int, int]:
        """How many pairs of stretches that follow each other within a piece look most like the same animal, and how
        many there are."""
        right = pairs = 0
        for piece in self.pieces:
            full = [total / n for n, total in zip(piece.counts, piece.sums, strict=True) if n == PART]
            if piece.apart and len(full) > 1:
                best = (distances_to(np.stack(full) @ axes, centres)).argmin(1)
                right += int((best[1:] == best[:-1]).sum())
                pairs += len(best) - 1
        return right, pairs

    def _axes(self) -> np.ndarray:
        """(values, values) to units in which the looks of one animal vary by 1 in every direction."""
        from sklearn.covariance import LedoitWolf

        within = np.stack([values - sum(self.pieces[at].sums) / self.pieces[at].count for at, values in self._samples])
        scale = within.std(0) + 1e-6
        spread = LedoitWolf(assume_centered=True).fit(within / scale).covariance_
        values, axes = np.linalg.eigh(spread)
        return axes / np.sqrt(np.maximum(values, 1e-9)) / scale[:, None]

    def _evidence(self, means: np.ndarray, centres: np.ndarray) -> np.ndarray:
        """(pieces, animals) log-likelihood but for a constant; the frames of a piece hardly add up."""
        count = np.array([min(p.count, INDEPENDENT if p.apart else 2) for p in self.pieces], dtype=float)
        return -0.5 * count[:, None] * distances_to(means, centres)

    def _centres(self, means: np.ndarray, owner: np.ndarray, before: np.ndarray) -> np.ndarray:
        """(animals, values) mean looks of the pieces that each animal was given."""
        weight = np.array([min(p.count, INDEPENDENT) if p.apart and p.count >= LEAST else 0 for p in self.pieces])
        found = before.copy()
        for animal in range(len(before)):
            mine = weight * (owner == animal)
            if mine.sum():
                found[animal] = mine @ means / mine.sum()
        return found


def distances_to(means: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """(n, m) squared distances of (n, values) and (m, values)."""
    return (means**2).sum(1)[:, None] - 2 * means @ centres.T + (centres**2).sum(1)


def template_of(points: np.ndarray) -> np.ndarray:
    """(nodes,) complex: an animal's nodes with its longest direction along the real axis, in cells of a picture."""
    places = points[:, 0] + 1j * points[:, 1]
    places = places - places.mean()
    square = (places**2).sum()
    places = places * np.exp(-0.5j * np.angle(square))
    long = max(float(np.ptp(places.real)), 1e-6)
    places = (places - places.real.min() - 1j * places.imag.min()) / long
    return (places + MARGIN * (1 + 1j)) * (ALONG / (1 + 2 * MARGIN))


def looks(picture: np.ndarray, points: np.ndarray, template: np.ndarray) -> np.ndarray | None:
    """What an animal looks like, turned and scaled onto the template: brightness of cells, and its size; None where
    fewer than two nodes are known.

    Parameters
    ----------
    picture : uint8 (height, width[, 3]).
    points : (nodes, 2) px.
    template : from `template_of`.
    """
    seen = np.isfinite(points).all(-1)
    if seen.sum() < 2:
        return None
    here, there = template[seen], points[seen, 0] + 1j * points[seen, 1]
    spread = (np.abs(here - here.mean()) ** 2).sum()
    turn = (np.conj(here - here.mean()) * (there - there.mean())).sum() / max(spread, 1e-9)
    if abs(turn) < 1e-3:
        return None
    shift = there.mean() - turn * here.mean()
    across = int(np.ceil(template.imag.max() + MARGIN * ALONG / (1 + 2 * MARGIN)))
    half = turn / 2  # twice the cells, then their means: thin stripes neither vanish nor flicker
    matrix = np.array([[half.real, -half.imag, shift.real], [half.imag, half.real, shift.imag]])
    shown = cv2.warpAffine(
        picture, matrix, (2 * ALONG, 2 * across), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip
    cells = cv2.resize(shown, (ALONG, across), interpolation=cv2.INTER_AREA)
    return np.append(cells.astype(np.float32).ravel(), np.float32(100 * np.log(abs(turn))))
