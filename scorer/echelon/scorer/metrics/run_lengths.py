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


def unpacked(packed: Sequence[str]) -> list[NDArray[np.int64]]:
    """The run lengths that COCO packs into text, of each text; InvalidInputError where one is no such text.

    A number is in base 32, lowest digit first, with a bit that says whether another digit follows; from the fourth on
    it is the difference from the last but one. All texts are read at once, for numpy costs by the call.
    """
    import numpy as np

    texts = [text.encode(errors="surrogatepass") for text in packed]
    codes = np.frombuffer(b"".join(texts), np.uint8).astype(np.int64) - ord("0")
    if ((codes < 0) | (codes > 63)).any():
        raise InvalidInputError("the packed run lengths hold a letter that cannot stand there")
    ends = np.flatnonzero(codes & 32 == 0) + 1
    counts = np.diff(np.searchsorted(ends, np.cumsum([0, *map(len, texts)]), side="right"))
    if any(text and text[-1] - ord("0") & 32 for text in texts):
        raise InvalidInputError("the packed run lengths break off")
    if not ends.size:
        return [codes] * len(texts)
    digits = np.diff(ends, prepend=0)
    if digits.max() > LONGEST:
        raise InvalidInputError(f"a packed run length has {digits.max()} letters, {LONGEST} are enough for any")
    starts = ends - digits
    numbers = np.add.reduceat((codes & 31) << 5 * (np.arange(codes.size) - np.repeat(starts, digits)), starts)
    numbers -= np.where(codes[ends - 1] & 16, 1 << 5 * digits, 0)
    places = _places(counts)
    for chosen, many in ((places % 2 == 1, counts // 2), ((places % 2 == 0) & (places > 0), (counts - 1) // 2)):
        numbers[chosen] = _sums_within(numbers[chosen], np.maximum(0, many))
    return np.split(numbers, counts.cumsum()[:-1])


def edges_of(lengths: NDArray[np.int64], height: int, width: int) -> Edges:
    """The edges of a mask; InvalidInputError unless the run lengths are those of one of this size."""
    import numpy as np

    whole = height * width
    if lengths.min(initial=0) < 0 or lengths.max(initial=0) > whole or lengths.sum() != whole:
        raise InvalidInputError(f"the run lengths do not fill {height} x {width} pixels")
    edges: Edges = lengths.cumsum(dtype=np.float64)[: len(lengths) // 2 * 2]
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


def _places(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, 2 ... as often as each count says, from 0 again for each."""
    import numpy as np

    places: NDArray[np.int64] = np.arange(counts.sum()) - np.repeat(counts.cumsum() - counts, counts)
    return places


def _sums_within(values: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The sums so far, from 0 again after each so many values."""
    import numpy as np

    sums = np.append(0, values.cumsum())
    within: NDArray[np.int64] = sums[1:] - np.repeat(sums[counts.cumsum() - counts], counts)
    return within
