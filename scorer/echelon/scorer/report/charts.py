"""Small drawings as inline SVG; colours come from the stylesheet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from echelon.scorer.report import wording
from echelon.scorer.results import TaskResult

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 190
"""Width of a bullet, in CSS pixels."""


def bar(value: float, *, css: str = "") -> Markup:
    """A bar of 0 to 100."""
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/><rect class="fill" width="{}" height="6"/></svg>'
    ).format(css, f"{min(max(value, 0), 100):.1f}")


def range_bar(certified: float, paper: float, possible: float, *, css: str = "") -> Markup:
    """A bar of 0 to 100: solid as far as is certified, paler to what was measured, palest to what is possible."""
    widths = zip(("possible", "paper", "certified"), (possible, paper, certified), strict=True)
    return Markup(
        '<svg class="bar {}" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="track" width="100" height="6"/>{}</svg>'
    ).format(
        css, Markup("").join(_RECT.format(name, 0, 0, f"{min(max(value, 0), 100):.1f}", 6) for name, value in widths)
    )


def bullet(task: TaskResult) -> Markup:
    """The score as a bar, and its 95 % interval, against chance and sota; further right is always better."""
    worst, best = _span(task)

    def at(value: float) -> str:
        return f"{(value - worst) / (best - worst) * WIDTH:.1f}"

    marks = [_RECT.format("fill", 0, 5, at(task.score), 8)] if task.score is not None else []
    if task.verdict is not None:
        bounds, (least, most) = task.verdict.score, sorted((worst, best))
        low = least if bounds.lower is None else max(least, bounds.lower)
        high = most if bounds.upper is None else min(most, bounds.upper)
        marks.append(_WHISKER.format(at(low), at(high)))
    if task.chance.score is not None:
        marks.append(_LINE.format("chance", at(task.chance.score)))
    if task.sota is not None:
        marks.append(_LINE.format("sota", at(task.sota.score)))
    return Markup(
        '<svg class="bullet {}" width="{}" height="18" viewBox="-1 0 {} 18" role="img" aria-label="{}">{}</svg>'
    ).format(
        wording.mark(task).word.replace(" ", "-"),
        WIDTH + 2,
        WIDTH + 2,
        _spoken(task),
        Markup("").join([_RECT.format("track", 0, 5, WIDTH, 8), *marks]),
    )


_RECT = Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>')
_WHISKER = Markup('<line class="whisker" x1="{}" x2="{}" y1="9" y2="9"/>')
_LINE = Markup('<line class="{0}" x1="{1}" x2="{1}" y1="1" y2="17"/>')


def _span(task: TaskResult) -> tuple[float, float]:
    """The metric's values at the bullet's left and right end."""
    values = [
        *([] if task.chance.score is None else [task.chance.score]),
        *([] if task.score is None else [task.score]),
        *([task.sota.score] if task.sota else []),
    ]
    low, high = min([0.0, *values]), max([0.0, *values])
    if task.unit == "fraction":
        high = max(1.0, high)
    elif high > low:
        high += 0.08 * (high - low)
    else:
        high = low + 1
    return (high, low) if task.higher_is_better is False else (low, high)


def _spoken(task: TaskResult) -> str:
    said = [
        f"score {wording.number(task.score)}" if task.score is not None else "no score",
        f"chance {wording.number(task.chance.score)}" if task.chance.score is not None else "chance unknown",
        f"sota {wording.number(task.sota.score)}" if task.sota else "no sota",
    ]
    return ", ".join(said)


def shares(task: TaskResult) -> Markup:
    """How the task's samples ended, as shares of one bar."""
    total = max(1, task.sample_count)
    pieces, left = [], 0.0
    for state, n in wording.states(task):
        width = 100 * n / total
        pieces.append(_RECT.format(state.replace(" ", "-"), f"{left:.2f}", 0, f"{width:.2f}", 6))
        left += width
    return Markup(
        '<svg class="shares" viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(Markup("").join(pieces))


def waveform(samples: NDArray[np.float32], *, width: int = 240, height: int = 48) -> Markup:
    """The envelope of a mono sound."""
    import numpy as np

    half = height / 2
    columns = [chunk for chunk in np.array_split(samples, width // 2) if chunk.size]
    strokes = [
        f"M{2 * i + 1} {half - half * float(chunk.max()):.1f}V{half - half * float(chunk.min()) + 0.5:.1f}"
        for i, chunk in enumerate(columns)
    ]
    return Markup(
        '<svg class="wave" width="{0}" height="{1}" viewBox="0 0 {0} {1}" aria-hidden="true"><path d="{2}"/></svg>'
    ).format(width, height, "".join(strokes))


def dots(points: NDArray[np.float64], *, size: int = 132) -> Markup:
    """Points of (x, y, depth) in [-1, 1], nearer ones darker; what lies outside is left out."""
    import numpy as np

    inside = points[(np.abs(points[:, :2]) <= 1).all(axis=1)]
    layers = zip(
        ("far", "middle", "near"), np.array_split(inside[np.argsort(inside[:, 2], kind="stable")], 3), strict=True
    )
    paths = [Markup('<path class="{}" d="{}"/>').format(name, _dots(layer, size)) for name, layer in layers]
    return _square(size, paths)


def _dots(points: NDArray[np.float64], size: int) -> str:
    half = size / 2
    return "".join(f"M{half * (1 + x):.0f} {half * (1 - y):.0f}h0" for x, y in points[:, :2].tolist())


def outlines(polygons: NDArray[np.float64], *, size: int = 132) -> Markup:
    """Closed lines, (polygons, corners, x and y) in [-1, 1]."""
    half = size / 2
    lines = [
        "M" + "L".join(f"{half * (1 + x):.0f} {half * (1 - y):.0f}" for x, y in polygon) + "Z"
        for polygon in polygons.tolist()
    ]
    return _square(size, [Markup('<path class="edges" d="{}"/>').format("".join(lines))])


def _square(size: int, content: Sequence[Markup]) -> Markup:
    return Markup(
        '<svg class="cloud" width="{0}" height="{0}" viewBox="0 0 {0} {0}" aria-hidden="true">{1}</svg>'
    ).format(size, Markup("").join(content))
