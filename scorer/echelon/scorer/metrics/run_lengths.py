"""Binary masks as COCO's run lengths: read, measured and compared without a single pixel.

The lengths alternate, zeros first, over the pixels column by column. A mask is kept as its edges: where its runs of
ones begin and end, in turn, each above the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from echelon.adapters import InvalidInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Edges: TypeAlias = NDArray[np.float64]

LONGEST = 7
"""Letters of a packed number, enough for any mask."""


def unpacked(packed: str) -> NDArray[np.int64]:
    """The run lengths that COCO packs into text; InvalidInputError where it is no such text.

    Each number is in base 32, lowest digit first, with a bit that says whether another digit follows; from the fourth
    on it is the difference from the last but one.
    """
    import numpy as np

    codes = np.frombuffer(packed.encode(errors="surrogatepass"), np.uint8).astype(np.int64) - ord("0")
    if ((codes < 0) | (codes > 63)).any():
        raise InvalidInputError("the packed run lengths hold a letter that cannot stand there")
    if not codes.size:
        return codes
    if codes[-1] & 32:
        raise InvalidInputError("the packed run lengths break off")
    ends = np.flatnonzero(codes & 32 == 0)
    starts = np.append(0, ends[:-1] + 1)
    digits = ends - starts + 1
    if digits.max() > LONGEST:
        raise InvalidInputError(f"a packed run length has {digits.max()} letters, {LONGEST} are enough for any")
    shifts = 5 * (np.arange(codes.size) - np.repeat(starts, digits))
    numbers = np.add.reduceat((codes & 31) << shifts, starts)
    numbers -= np.where(codes[ends] & 16, 1 << 5 * digits, 0)
    for first in (1, 2):
        numbers[first::2] = numbers[first::2].cumsum()
    return numbers


def edges_of(counts: str | Sequence[int], height: int, width: int) -> Edges:
    """The edges of a mask; InvalidInputError unless the run lengths, plain or packed, are those of one of this size."""
    import numpy as np

    lengths = unpacked(counts) if isinstance(counts, str) else np.array(counts, np.int64)
    whole = height * width
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > whole or lengths.sum() != whole:
        raise InvalidInputError(f"the run lengths do not fill {height} x {width} pixels")
    edges: Edges = lengths.cumsum()[: len(lengths) // 2 * 2].astype(np.float64)
    if lengths[1:].all():
        return edges
    # Where a run is empty two edges meet, and are none.
    places, times = np.unique(edges, return_counts=True)
    return np.compress(times % 2 == 1, places)


def pixel_count(edges: Edges) -> float:
    """How many ones there are."""
    return float((edges[1::2] - edges[::2]).sum())


def shared_pixels(masks: Sequence[Edges], others: Sequence[Edges]) -> NDArray[np.float64]:
    """How many ones each mask has in common with each of the others, (masks, others); all are of one size."""
    import numpy as np

    every = np.concatenate([np.empty(0), *masks])
    bounds = np.append(0, np.cumsum([len(mask) // 2 for mask in masks], dtype=np.int64))
    shared = np.zeros((len(masks), len(others)))
    for place, other in enumerate(others):
        if other.size:
            # Between two edges the count of ones so far is a straight line, so that this is exact.
            lengths = np.diff(other, prepend=other[0])
            lengths[::2] = 0
            so_far = np.interp(every, other, lengths.cumsum())
            runs = np.append(0.0, (so_far[1::2] - so_far[::2]).cumsum())
            shared[:, place] = np.diff(runs[bounds])
    return shared
