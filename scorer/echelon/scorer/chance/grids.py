"""What many arrays of any size have in common, kept on a grid of one size."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]
    Floats = NDArray[np.float64]

GRID = 48
"""Cells each way."""
SERIES = 512
"""Cells of what has one dimension only."""
MOST_CHANNELS = 4
"""A last axis of at most so many numbers holds what is told of each pixel."""
MOST_VALUES = 64
"""Distinct whole numbers that are told apart."""
SCALARS = 64
"""Elements of each array that are kept for the median."""
MOST_SCALARS = 1 << 16
MOST_ELEMENTS = 1 << 16
"""Of an array whose mean is kept element by element."""


def in_frames(values: Array) -> Array | None:
    """The array as (frames, height, width, channels); None where it has more axes than that."""
    shape = values.shape
    match len(shape):
        case 0 | 1:
            return values.reshape(1, 1, -1, 1)
        case 2:
            return values[None, :, :, None]
        case 3:
            return values[None] if shape[-1] <= MOST_CHANNELS else values[..., None]
        case 4:
            return values
    return None


def on_grid(values: Array) -> Array:
    """Values of (height, width, channels) at the middle of each cell."""
    height, width = values.shape[:2]
    rows, columns = (1, SERIES) if height == 1 else (GRID, GRID)
    return values[_middles(rows, height)][:, _middles(columns, width)]


def from_grid(cells: Array, shape: tuple[int, ...]) -> Array:
    """An array of `shape` whose elements are those of the cells in which they lie, in each frame."""
    import numpy as np

    target = in_frames(np.empty(shape, np.bool_))
    assert target is not None
    frames, height, width, channels = target.shape
    spread = cells[_middles(height, cells.shape[0])][:, _middles(width, cells.shape[1])]
    if spread.shape[-1] != channels:
        spread = np.repeat(spread.mean(axis=-1, keepdims=True), channels, axis=-1)
    return np.broadcast_to(spread, (frames, height, width, channels)).reshape(shape)


def resampled(values: Array, shape: tuple[int, ...]) -> Array | None:
    """An array in another shape, the nearest element for each; None where the number of axes differs."""
    if values.shape == shape:
        return values
    if values.ndim != len(shape) or 0 in values.shape:
        return None
    for axis, length in enumerate(shape):
        values = values.take(_middles(length, values.shape[axis]), axis=axis)
    return values


def _middles(count: int, length: int) -> NDArray[np.intp]:
    """The places, among `length`, of the middles of `count` equal parts."""
    import numpy as np

    return ((np.arange(count) + 0.5) * length / count).astype(np.intp).clip(max=length - 1)


class _Mean:
    """The mean of arrays of one shape, element by element; NaN is no number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        import numpy as np

        self._sums, self._counts = np.zeros(shape), np.zeros(shape)

    def add(self, values: Floats) -> None:
        import numpy as np

        known = np.isfinite(values)
        self._sums += np.where(known, values, 0)
        self._counts += known

    @property
    def value(self) -> Floats:
        """The mean, 0 where nothing is known."""
        import numpy as np

        mean: Floats = self._sums / np.maximum(self._counts, 1)
        return mean


class Fields:
    """What arrays of numbers have in common: the mean of each cell, and a sample of their elements."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, ...], _Mean] = {}
        self._whole: dict[tuple[int, ...], _Mean] = {}
        self._elements: list[Floats] = []

    def add(self, values: Array) -> None:
        """Take in an array."""
        import numpy as np

        numbers = np.asarray(values, np.float64)
        framed = in_frames(numbers)
        if framed is None or not framed.size:
            return
        cells = on_grid(framed.mean(axis=0))
        self._cells.setdefault(cells.shape, _Mean(cells.shape)).add(cells)
        # Of one shape the mean is kept element by element; of others the grid has to do.
        if not self._whole and numbers.size <= MOST_ELEMENTS:
            self._whole[numbers.shape] = _Mean(numbers.shape)
        if numbers.shape in self._whole:
            self._whole[numbers.shape].add(numbers)
        if len(self._elements) * SCALARS < MOST_SCALARS:
            flat = framed.reshape(-1, framed.shape[-1])
            self._elements.append(flat[_middles(min(SCALARS, len(flat)), len(flat))])

    def mean(self, shape: tuple[int, ...]) -> Array | None:
        """The mean array, in `shape`; None where nothing was seen."""
        if shape in self._whole:
            return self._whole[shape].value
        if not self._cells:
            return None
        return from_grid(next(iter(self._cells.values())).value, shape)

    def quantile(self, share: float) -> Floats | None:
        """For each channel, what that share of the elements lies below; None where nothing was seen."""
        import numpy as np

        elements = self._same_channels()
        return None if elements is None else np.nanquantile(elements, share, axis=0)

    def average(self) -> Floats | None:
        """The mean of each channel; None where nothing was seen."""
        import numpy as np

        elements = self._same_channels()
        return None if elements is None else np.nanmean(elements, axis=0)

    def _same_channels(self) -> Floats | None:
        import numpy as np

        if not self._elements:
            return None
        channels = self._elements[0].shape[-1]
        found: Floats = np.concatenate([each for each in self._elements if each.shape[-1] == channels])
        return found if np.isfinite(found).any(axis=0).all() else None


class Classes:
    """How often each cell has each whole number."""

    def __init__(self) -> None:
        self._cells: dict[int, Floats] = {}
        self._counts: Counter[int] = Counter()

    def add(self, values: Array) -> None:
        """Take in an array of whole numbers."""
        import numpy as np

        framed = in_frames(values)
        if framed is None or not framed.size:
            return
        # Classes are those of the first channel; segments and the like have no meaning from picture to picture.
        first = framed[..., :1]
        found, counts = np.unique(first, return_counts=True)
        for value, count in zip(found.tolist(), counts.tolist(), strict=True):
            if value in self._cells or len(self._cells) < MOST_VALUES:
                share = on_grid((first == value).mean(axis=0))
                self._cells[value] = self._cells[value] + share if value in self._cells else share
                self._counts[value] += count

    def common(self, most: int) -> list[int]:
        """The most common numbers."""
        return sorted(self._counts, key=lambda value: (-self._counts[value], value))[:most]

    def prior(self, shape: tuple[int, ...], balance: float) -> Array | None:
        """Each cell's most common number, those counted less that are common everywhere, by a power of `balance`."""
        import numpy as np

        if not self._cells:
            return None
        values = sorted(self._cells)
        total = sum(self._counts.values())
        weights = [self._cells[value] / (self._counts[value] / total) ** balance for value in values]
        chosen = np.array(values)[np.stack(weights).argmax(axis=0)]
        return from_grid(chosen, shape)

    def region(self, value: int, share: float, shape: tuple[int, ...]) -> Array:
        """`value` where at least that share of it was, by its most frequent place, and 0 elsewhere."""
        import numpy as np

        cells = self._cells[value]
        return from_grid(np.where(cells >= share * cells.max(), value, 0), shape)
