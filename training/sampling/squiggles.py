"""Simulated squiggles: what a person might draw inside a gland (paper, section III-C 2, and hands).

A squiggle is drawn in the mask of one gland, as strokes: float (M, 2) arrays of x, y in its pixels, centres at .5.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse
from scipy.sparse import csgraph
from skimage.measure import find_contours
from skimage.morphology import skeletonize

from nuclick_wsi.segmentation.signals import rasterize

Mask = npt.NDArray[np.bool_]
Depth = npt.NDArray[np.floating]
Stroke = npt.NDArray[np.floating]
Strokes = list[Stroke]

_NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))
_LEAST_INSIDE = 0.75
"""Share of a squiggle that lies on its object at least: ends may reach over the border."""
_SHORTEST = 0.2
"""Share of a gland's length, or of its wall, that a hasty stroke covers at least."""


def random_squiggle(mask: Mask, rng: np.random.Generator) -> Strokes:
    """Return one of several kinds of squiggle: whole or hasty, central or off-centre, at times over the border."""
    depth = depth_of(mask)
    kinds: tuple[Callable[[Depth, np.random.Generator], Strokes], ...]
    kinds = (_piece_of_skeleton, _walked, _hand_drawn_axis, _hand_drawn_ring, _few_points)
    drawn = kinds[rng.choice(len(kinds), p=(0.15, 0.15, 0.35, 0.2, 0.15))](depth, rng)
    moved = _moved_at_times(drawn, depth, rng)
    found = (one for one in (moved, drawn) if one and _share_inside(one, mask) >= _LEAST_INSIDE)
    return next(found, None) or random_skeleton(depth, rng)


def walked_skeleton(mask: Mask) -> Strokes:
    """Return the skeleton of the mask's deeper part as polylines: what evaluation draws, with no chance in it."""
    depth = depth_of(mask)
    left = _skeleton(depth, 0.8 * _mean(depth))
    strokes = []
    while len(left):
        order = _walk(left)
        strokes.append(left[[*order[:-1:3], order[-1]]])
        left = np.delete(left, order, axis=0)
    return strokes


def hasty_stroke(mask: Mask) -> Strokes:
    """Return the middle two fifths of a line along the object, with no chance in it."""
    depth = depth_of(mask)
    line = _longest_path(_skeleton(depth, 0.5 * _mean(depth)), depth.shape)
    left_out = int(0.3 * len(line))
    return [line[left_out : len(line) - left_out]]


def depth_of(mask: Mask) -> Depth:
    """Return the distance of every pixel of the mask to the nearest one outside, which is 0."""
    padded = ndimage.distance_transform_edt(np.pad(mask, 1))
    return np.asarray(padded, np.float64)[1:-1, 1:-1]


def random_skeleton(depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return the paper's squiggle: the skeleton of the mask, thresholded at a random depth in [0, mean + std]."""
    inside = depth[depth > 0]
    points = _skeleton(depth, rng.uniform(0, inside.mean() + inside.std()))
    return _edges(points, depth.shape)


def _piece_of_skeleton(depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return the paper's squiggle, or half the time only what lies around one place of it."""
    edges = random_skeleton(depth, rng)
    if rng.random() < 0.5 or len(edges) < 4:
        return edges
    starts = np.stack([edge[0] for edge in edges])
    far = ((starts - starts[int(rng.integers(len(starts)))]) ** 2).sum(axis=1)
    return [edges[i] for i in np.argsort(far)[: max(2, round(len(edges) * rng.uniform(_SHORTEST, 1)))]]


def _skeleton(depth: Depth, threshold: float) -> Stroke:
    """Return the skeleton's pixel centres as x, y; the deepest pixel where nothing is left."""
    found = np.argwhere(skeletonize(depth > threshold))
    if not len(found):
        found = np.argwhere(depth == depth.max())[:1]
    return found[:, ::-1] + 0.5


def _mean(depth: Depth) -> float:
    return float(depth[depth > 0].mean())


def _edges(points: Stroke, shape: tuple[int, ...]) -> Strokes:
    """Join neighbouring pixels by strokes of two points, so that the squiggle keeps together at any zoom."""
    index = np.full((shape[0] + 2, shape[1] + 2), -1)
    rows, columns = (points[:, 1].astype(int) + 1, points[:, 0].astype(int) + 1)
    index[rows, columns] = np.arange(len(points))
    pairs = [(np.arange(len(points)), index[rows + dr, columns + dc]) for dr, dc in _NEIGHBOURS]
    edges = [np.stack([points[a[b >= 0]], points[b[b >= 0]]], axis=1) for a, b in pairs]
    joined = list(np.concatenate(edges))
    return joined or [points[:1]]


def _walk(points: Stroke) -> list[int]:
    """Return the order of points that goes to the nearest one left, from the leftmost; a far jump ends the walk."""
    left, order = points.copy(), [int(points[:, 0].argmin())]
    left[order[0]] = np.inf
    while len(order) < len(points):
        distance = ((left - points[order[-1]]) ** 2).sum(axis=1)
        nearest = int(distance.argmin())
        if distance[nearest] > 400 and len(order) > 5:
            break
        order.append(nearest)
        left[nearest] = np.inf
    return order


def _walked(depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return a walked skeleton, every few pixels a vertex, at times only a part of it."""
    points = _skeleton(depth, rng.uniform(0.4, 1.2) * _mean(depth))
    return [_part(points[_walk(points)], rng)[:: int(rng.integers(2, 6))]]


def _hand_drawn_axis(depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return the longest path through the skeleton with a few unsteady vertices."""
    line = _longest_path(_skeleton(depth, rng.uniform(0, 1) * _mean(depth)), depth.shape)
    return _cut_at_times(_unsteady(_part(line, rng), int(rng.integers(2, 9)), depth, rng), rng)


def _hand_drawn_ring(depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return a part of a line that follows the gland's edge inside it, as people draw around a lumen."""
    contours = find_contours(np.pad(depth, 1), rng.uniform(0.15, 0.75) * depth.max())
    if not contours:
        return []
    ring = max(contours, key=len)[:, ::-1] - 0.5
    ring = np.roll(ring[:-1], int(rng.integers(len(ring))), axis=0) if len(ring) > 2 else ring
    return _cut_at_times(_unsteady(_part(ring, rng), int(rng.integers(4, 13)), depth, rng), rng)


def _few_points(depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return a line of two or three vertices, the longest of one to six random ones."""
    inner = np.argwhere(depth >= 0.2 * depth.max())[:, ::-1] + 0.5
    tries = inner[rng.integers(len(inner), size=(int(rng.integers(1, 7)), int(rng.integers(2, 4))))]
    lengths = np.linalg.norm(np.diff(tries, axis=1), axis=2).sum(axis=1)
    return [tries[lengths.argmax()]]


def _longest_path(points: Stroke, shape: tuple[int, ...]) -> Stroke:
    """Return the longest shortest path through a skeleton's pixels, found from one end and back."""
    edges = [edge for edge in _edges(points, shape) if len(edge) == 2]
    if not edges:
        return points
    number = {tuple(point): i for i, point in enumerate(points)}
    ends = np.array([[number[tuple(a)], number[tuple(b)]] for a, b in edges])
    length = np.linalg.norm(np.diff(np.stack(edges), axis=1)[:, 0], axis=1)
    graph = sparse.coo_matrix((length, ends.T), shape=(len(points),) * 2).tocsr()
    start = int(np.argmax(_finite(csgraph.dijkstra(graph, directed=False, indices=0))))
    far, before = csgraph.dijkstra(graph, directed=False, indices=start, return_predecessors=True)
    path = [int(np.argmax(_finite(far)))]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    return points[path]


def _finite(distance: Depth) -> Depth:
    """Replace what cannot be reached by a negative distance."""
    return np.where(np.isfinite(distance), distance, -1)


def _part(line: Stroke, rng: np.random.Generator) -> Stroke:
    """Return the whole line, or mostly a part of it: a random one, or its middle, as hasty people draw."""
    if rng.random() < 0.3 or len(line) < 4:
        return line
    count = max(2, round(len(line) * rng.uniform(_SHORTEST, 1)))
    last = len(line) - count
    start = last // 2 if rng.random() < 0.5 else int(rng.integers(last + 1))
    return line[start : start + count]


def _unsteady(line: Stroke, vertices: int, depth: Depth, rng: np.random.Generator) -> Stroke:
    """Return a line of a few vertices along another, each off by a little of the gland's own thickness."""
    chosen = line[np.linspace(0, len(line) - 1, min(vertices, len(line))).round().astype(int)]
    slip: Stroke = chosen + rng.normal(0, 0.12 * depth.max(), chosen.shape)
    return slip


def _cut_at_times(line: Stroke, rng: np.random.Generator) -> Strokes:
    """Return a line as one stroke, at times as two or three, of which one may be left out."""
    if len(line) < 6 or rng.random() > 0.2:
        return [line]
    places = np.sort(rng.choice(np.arange(2, len(line) - 1), size=int(rng.integers(1, 3)), replace=False))
    pieces = [piece for piece in np.split(line, places) if len(piece) > 1]
    if len(pieces) > 2 and rng.random() < 0.5:
        del pieces[int(rng.integers(len(pieces)))]
    return pieces


def _moved_at_times(strokes: Strokes, depth: Depth, rng: np.random.Generator) -> Strokes:
    """Return strokes as they are, or off-centre by up to two thirds of the way to the wall, or longer."""
    how = rng.random()
    if how < 0.3:
        angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.67) * depth.max()
        return [stroke + off * np.array([np.cos(angle), np.sin(angle)]) for stroke in strokes]
    if how < 0.45:
        return [_prolonged(stroke, rng.uniform(0, 0.6) * depth.max()) for stroke in strokes]
    return strokes


def _prolonged(stroke: Stroke, by: float) -> Stroke:
    """Return a stroke that goes on straight at its end."""
    along = stroke[-1] - stroke[0]
    length = float(np.hypot(*along))
    return np.vstack([stroke, stroke[-1] + along / length * by]) if length else stroke


def _share_inside(strokes: Strokes, mask: Mask) -> float:
    """Return the share of the drawn pixels that lie in the mask."""
    pixels = rasterize(strokes)
    within = ((pixels >= 0) & (pixels < mask.shape)).all(axis=1)
    return float(mask[tuple(pixels[within].T)].sum() / len(pixels))
