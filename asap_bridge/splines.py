"""Splines as ASAP draws them: a centripetal Catmull-Rom curve through the points, bent at its ends as ASAP bends it.

Follows `PolyQtAnnotation::getCurrentPath` and `catmullRomToBezier` of ASAP's source.
"""

import numpy as np
from numpy.typing import NDArray

TOLERANCE = 0.05
"""How far the lines that stand for a curve may be from it, in slide pixels."""
_MOST = 10_000
"""Lines that stand for one edge; those of an edge as long as the largest slides are fewer."""

_Position = NDArray[np.float64]


def spline_outline(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the closed curve that ASAP draws through points, shape (n, 2), not closed."""
    return _curve(points, closed=True)[:-1]


def spline_stroke(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the same curve from the first to the last point, without the edge that closes it."""
    return _curve(points, closed=False)


def _curve(points: NDArray[np.float64], *, closed: bool) -> NDArray[np.float64]:
    count = len(points)
    pieces = [points[:1]]
    for index in range(count if closed else count - 1):
        start, end = points[index], points[(index + 1) % count]
        pieces.append(_flat(*_controls(_before(points, index), start, end, _after(points, index))))
    return np.concatenate(pieces)


def _before(points: NDArray[np.float64], index: int) -> _Position:
    """Return the point that the edge from `index` on comes from."""
    if index == len(points) - 1:
        # The edge that closes the curve: ASAP computes the point before it and then uses the mirrored one.
        mirrored: _Position = 2 * points[index] - points[0]
        return mirrored
    before: _Position = points[index - 1]
    return before


def _after(points: NDArray[np.float64], index: int) -> _Position:
    """Return the point that the edge from `index` on leads to; the last open edge is not bent towards the first."""
    if index == len(points) - 2:
        mirrored: _Position = 2 * points[-1] - points[-2]
        return mirrored
    after: _Position = points[(index + 2) % len(points)]
    return after


def _controls(
    before: _Position, start: _Position, end: _Position, after: _Position
) -> tuple[_Position, _Position, _Position, _Position]:
    """Return the cubic Bezier curve from start to end; straight where points coincide and ASAP divides by zero."""
    d1, d2, d3 = (float(np.hypot(*(b - a))) for a, b in ((before, start), (start, end), (end, after)))
    first, second = start, end
    if d1 > 0 and d2 > 0:
        root = np.sqrt(d1 * d2)
        first = (d1 * end - d2 * before + (2 * d1 + 3 * root + d2) * start) / (3 * (d1 + root))
    if d3 > 0 and d2 > 0:
        root = np.sqrt(d3 * d2)
        second = (d3 * start - d2 * after + (2 * d3 + 3 * root + d2) * end) / (3 * (d3 + root))
    return start, first, second, end


def _flat(start: _Position, first: _Position, second: _Position, end: _Position) -> NDArray[np.float64]:
    """Return points along a Bezier curve, without its start, so close that lines between them keep the tolerance."""
    bend = max(np.hypot(*(start - 2 * first + second)), np.hypot(*(first - 2 * second + end)))
    # A chord is off by at most an eighth of the second derivative, which is at most 6 * bend, over the square of n.
    count = max(1, int(np.ceil(min(_MOST, np.sqrt(0.75 * bend / TOLERANCE)))))
    t = np.linspace(0, 1, count + 1)[1:, None]
    curve: NDArray[np.float64] = (
        (1 - t) ** 3 * start + 3 * t * (1 - t) ** 2 * first + 3 * t**2 * (1 - t) * second + t**3 * end
    )
    return curve
