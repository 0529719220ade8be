"""The same objects of the same images, outlined by several systems, and scored alike."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from nuclick_training.comparison.marks import Mark, marks_of
from nuclick_training.comparison.system import Piece, System, painted
from nuclick_training.datasets.data import Labels, Picture
from nuclick_training.evaluation.metrics import Floats, Tally


@dataclass(frozen=True, slots=True)
class Scene:
    """An image, the objects that are asked for, and their marks."""

    picture: Picture
    mpp: float
    labels: Labels
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class SceneScore:
    """How a system did on one image.

    Attributes
    ----------
    dice
        (N,): of each object's own mask with the object, by order of the marks; 0 where there is none.
    seconds
        Of processor time of this thread, for all objects.
    """

    name: str
    tally: Tally
    dice: Floats
    seconds: float


def scenes_of(pictures: Sequence[Picture], mpp: float, most: int | None, seed: int = 0) -> Iterator[Scene]:
    """Yield pictures with so many of their objects in all at most, drawn alike from all; other objects are background.

    Parameters
    ----------
    mpp
        Microns per pixel of the pictures.
    """
    numbered = [(which, number) for which, one in enumerate(pictures) for number in np.unique(one.labels) if number]
    if most is not None and most < len(numbered):
        drawn = np.random.default_rng(seed).permutation(len(numbered))[:most]
        numbered = [numbered[index] for index in np.sort(drawn)]
    for which, picture in enumerate(pictures):
        chosen = [number for where, number in numbered if where == which]
        if chosen:
            labels = np.where(np.isin(picture.labels, chosen), picture.labels, 0)
            yield Scene(picture, mpp, labels, tuple(marks_of(labels)))


def score(system: System, scene: Scene) -> tuple[SceneScore, list[Piece | None]]:
    """Return a system's score on a scene, and its masks by order of the marks."""
    begun = time.thread_time()
    pieces = system.outline(scene.picture.image, scene.mpp, scene.marks)
    seconds = time.thread_time() - begun
    predicted = painted(pieces, scene.marks, (scene.labels.shape[0], scene.labels.shape[1]))
    dice = np.array([_dice(piece, mark, scene.labels) for piece, mark in zip(pieces, scene.marks, strict=True)])
    return SceneScore(scene.picture.name, Tally.of(scene.labels, predicted), dice, seconds), pieces


def _dice(piece: Piece | None, mark: Mark, labels: Labels) -> float:
    if piece is None:
        return 0.0
    rows, columns = piece.mask.shape
    there = labels[piece.row : piece.row + rows, piece.column : piece.column + columns] == mark.number
    left, top, right, bottom = (int(value) for value in mark.box)
    true = int((labels[top:bottom, left:right] == mark.number).sum())
    return float(2 * (there & piece.mask).sum() / (true + piece.mask.sum()))
