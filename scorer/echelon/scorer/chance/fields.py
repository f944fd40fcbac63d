"""Blind answers that are arrays: images, videos, masks and tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from echelon.adapters import EchelonError, Image, Kind, Mask, Number, Part, Tensor, Video
from echelon.scorer.chance.candidate import Candidate, Inputs
from echelon.scorer.chance.grids import Classes, Fields, in_frames, resampled
from echelon.scorer.chance.seeding import Reservoir, SeededHash
from echelon.scorer.suites.suite import Sample, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[Any]

TYPICAL = 2
"""References that are kept whole, for media are large."""
VALUES = 8
QUANTILES = (0.1, 0.25, 0.5, 0.75)
REGIONS = (0.2, 0.4, 0.6, 0.8)
BALANCES = (0.0, 0.5, 1.0)
FRAMES_PER_SECOND = 24.0
PIXELS = (64, 64, 3)
"""What is made where neither a reference nor the input has a size."""


class Form(Protocol):
    """How arrays and parts of one kind go into each other."""

    def array(self, part: Part) -> Array | None:
        """What a reference or an input holds, as answers do; None for another kind."""
        ...

    def part(self, values: Array, like: Array | None) -> Part:
        """The answer that holds `values`; `like` is the reference's array."""
        ...

    @property
    def fills(self) -> tuple[float, ...]:
        """Constants to try."""
        ...


class Pixels:
    """Images: grey or in colour, 0 to 255; a mask is white where it is not 0."""

    fills = (0.0, 64.0, 128.0, 192.0, 255.0)

    def array(self, part: Part) -> Array | None:
        import numpy as np

        if isinstance(part, Mask):
            return np.where(part.array() != 0, np.uint8(255), np.uint8(0))
        return part.array() if isinstance(part, Image) else None

    def part(self, values: Array, like: Array | None) -> Part:
        return Image.from_array(_bytes(values))


class Frames:
    """Videos: frames in grey or in colour, 0 to 255; an image is a video of one frame."""

    fills = (0.0, 128.0, 255.0)

    def array(self, part: Part) -> Array | None:
        if isinstance(part, Image):
            return part.array()[None]
        return part.array() if isinstance(part, Video) else None

    def part(self, values: Array, like: Array | None) -> Part:
        return Video.from_array(_bytes(values), frames_per_second=FRAMES_PER_SECOND)


class MaskValues:
    """Masks: a class for each pixel, its place in the task's labels where the mask names its values."""

    fills = ()

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._places = {label: place for place, label in enumerate(labels)}

    def array(self, part: Part) -> Array | None:
        import numpy as np

        if not isinstance(part, Mask):
            return None
        if not part.labels or not self._places:
            return part.array()
        table = np.full(256, 255, np.uint8)
        for value, label in enumerate(part.labels[:256]):
            table[value] = self._places.get(label, 255)
        classes: Array = table[part.array()]
        return classes

    def part(self, values: Array, like: Array | None) -> Part:
        import numpy as np

        return Mask.from_array(np.asarray(values).astype(np.uint8))


class Numbers:
    """Tensors; what is there in a mask, a white image or a number is 1."""

    fills = (0.0, 1.0)

    def array(self, part: Part) -> Array | None:
        import numpy as np

        match part:
            case Tensor():
                values: Array = part.array()
                return values
            case Mask():
                return np.asarray(part.array() != 0, np.float32)
            case Image():
                pixels: Array = part.array()
                grey = pixels if pixels.ndim == 2 else pixels[..., 0]
                return np.asarray(grey / 255, np.float32)
            case Number():
                return np.asarray(part.value, np.float32)
        return None

    def part(self, values: Array, like: Array | None) -> Part:
        import numpy as np

        whole = like is not None and like.dtype.kind in "biu"
        return Tensor.from_array(values.astype(like.dtype) if whole and like is not None else values.astype(np.float32))


def _bytes(values: Array) -> NDArray[np.uint8]:
    import numpy as np

    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


FORMS: dict[Kind, Callable[[tuple[str, ...]], Form]] = {
    Kind.IMAGE: lambda labels: Pixels(),
    Kind.VIDEO: lambda labels: Frames(),
    Kind.MASK: MaskValues,
    Kind.TENSOR: lambda labels: Numbers(),
}


@dataclass(frozen=True, slots=True)
class _Shown:
    """What a blind answer may know of a sample: its reference's size and type, or else its input's."""

    shape: tuple[int, ...]
    like: Array | None


class FieldObserver:
    """Learns what references look like on average, and keeps a few whole."""

    def __init__(self, task: Task, kind: Kind, seeded: SeededHash, draws: int) -> None:
        self._kind, self._seeded, self._draws = kind, seeded, draws
        self._form = FORMS[kind](task.labels)
        self._fields, self._classes = Fields(), Classes()
        self._inputs = Inputs(*_INPUTS[kind])
        self._kept: Reservoir[Array] = Reservoir(seeded, TYPICAL)
        self._whole_numbers = False
        self._size: tuple[int, ...] | None = None
        """Of the first reference, for samples that show none."""

    def see(self, sample: Sample) -> None:
        self._inputs.see(sample)
        values = self._reference(sample)
        if values is None:
            return
        self._size = self._size or values.shape
        if self._kind is Kind.MASK or (self._kind is Kind.TENSOR and values.dtype.kind in "biu"):
            self._whole_numbers = True
            self._classes.add(values)
        else:
            self._fields.add(values)
        self._kept.offer(sample.id, values)

    def candidates(self) -> Iterator[Candidate]:
        yield from self._inputs.candidates()
        if self._kind is not Kind.MASK:
            yield self._made("the input, in the reference's size", self._scaled_input)
        if self._kind in (Kind.IMAGE, Kind.VIDEO):
            yield self._made("the last frame of the input", self._last_frame)
            yield self._made("the mean of the input's frames", self._mean_frame)
        for fill in self._form.fills:
            yield self._made(f"{fill:g} everywhere", self._filled(fill))
        if self._kind in (Kind.IMAGE, Kind.VIDEO):
            # A distance between distributions wants answers that differ.
            yield self._made("noise", self._noise(128.0))
        yield from self._of_classes() if self._whole_numbers else self._of_fields()
        for number, (source, values) in enumerate(self._kept.items):
            yield self._made("one reference", _repeated(values), source if number == 0 else "")
        if self._draws:
            yield self._made("a reference drawn at random", self._drawn)

    def _noise(self, size: float, mean: bool = False) -> Callable[[Sample, _Shown], Array | None]:
        def answer(sample: Sample, shown: _Shown) -> Array | None:
            middle = self._fields.mean(shown.shape) if mean else 127.5
            if middle is None:
                return None
            values: Array = middle + size * self._seeded.noise(shown.shape, "noise", sample.id)
            return values

        return answer

    def _of_fields(self) -> Iterator[Candidate]:
        yield self._made("the mean reference", lambda sample, shown: self._fields.mean(shown.shape))
        if self._kind in (Kind.IMAGE, Kind.VIDEO):
            yield self._made("the mean reference with noise", self._noise(32.0, mean=True))
        average = self._fields.average()
        if average is not None:
            yield self._made("the mean of each channel", self._channels(average))
        for share in QUANTILES:
            quantile = self._fields.quantile(share)
            if quantile is not None:
                yield self._made(f"the quantile {share:g} of each channel", self._channels(quantile))

    def _of_classes(self) -> Iterator[Candidate]:
        for value in self._classes.common(VALUES):
            yield self._made(f"{value} everywhere", self._filled(value))
            if value:
                for share in REGIONS:
                    region = f"{value} where it was at least {share:g} times as often as in its most frequent place"
                    yield self._made(region, self._region(value, share))
        for balance in BALANCES:
            name = f"the most common value of each place, balanced by {balance:g}"
            yield self._made(name, self._prior(balance))

    def _made(self, name: str, values_of: Callable[[Sample, _Shown], Array | None], source: str = "") -> Candidate:
        def answer(sample: Sample) -> Part | None:
            shown = self._shown(sample)
            values = None if shown is None else values_of(sample, shown)
            return None if values is None or shown is None else self._form.part(values, shown.like)

        return Candidate(name, answer, source)

    def _shown(self, sample: Sample) -> _Shown | None:
        reference = self._reference(sample)
        if reference is not None:
            return _Shown(reference.shape, reference)
        given = self._first_input(sample)
        if given is not None:
            return _Shown(given.shape, None)
        size = self._size or {Kind.IMAGE: PIXELS, Kind.VIDEO: (8, *PIXELS)}.get(self._kind)
        return None if size is None else _Shown(size, None)

    def _reference(self, sample: Sample) -> Array | None:
        return next((found for part in sample.references if (found := self._form.array(part)) is not None), None)

    def _first_input(self, sample: Sample) -> Array | None:
        for part in self._inputs.of(sample):
            try:
                return self._form.array(part)
            except EchelonError:
                continue
        return None

    def _filled(self, fill: float) -> Callable[[Sample, _Shown], Array | None]:
        import numpy as np

        return lambda sample, shown: np.full(shown.shape, fill)

    def _channels(self, values: Array) -> Callable[[Sample, _Shown], Array | None]:
        """The same number, or numbers, at each place; their mean where there are not as many channels."""
        import numpy as np

        def answer(sample: Sample, shown: _Shown) -> Array | None:
            framed = in_frames(np.empty(shown.shape, np.bool_))
            if framed is None:
                return None
            fits = framed.shape[-1] == len(values)
            return np.broadcast_to(values if fits else values.mean(), framed.shape).reshape(shown.shape)

        return answer

    def _prior(self, balance: float) -> Callable[[Sample, _Shown], Array | None]:
        return lambda sample, shown: self._classes.prior(shown.shape, balance)

    def _region(self, value: int, share: float) -> Callable[[Sample, _Shown], Array | None]:
        return lambda sample, shown: self._classes.region(value, share, shown.shape)

    def _scaled_input(self, sample: Sample, shown: _Shown) -> Array | None:
        given = self._first_input(sample)
        if given is None:
            return None
        if given.ndim == len(shown.shape) + 1:
            given = given.mean(axis=-1)
        elif given.ndim + 1 == len(shown.shape) and shown.shape[-1] == 3:
            given = given[..., None].repeat(3, axis=-1)
        return resampled(given, shown.shape)

    def _last_frame(self, sample: Sample, shown: _Shown) -> Array | None:
        frames = _frames(sample)
        return _everywhere(frames[-1], shown) if frames else None

    def _mean_frame(self, sample: Sample, shown: _Shown) -> Array | None:
        import numpy as np

        frames = _frames(sample)
        alike = [frame for frame in frames if frame.shape == frames[0].shape]
        return _everywhere(np.mean(alike, axis=0), shown) if alike else None

    def _drawn(self, sample: Sample, shown: _Shown) -> Array | None:
        options = [values for source, values in self._kept.items if source != sample.id]
        return resampled(self._seeded.pick(options, "draw", sample.id), shown.shape) if options else None


def _frames(sample: Sample) -> list[Array]:
    """All pictures of the input, those of its videos too, as far as they can be decoded."""
    frames: list[Array] = []
    for part in sample.parts:
        try:
            if isinstance(part, Image):
                frames.append(part.array())
            elif isinstance(part, Video):
                frames += list(part.array())
        except EchelonError:
            continue
    return frames


def _everywhere(frame: Array, shown: _Shown) -> Array | None:
    """A picture in the size that is wanted, in each frame of a video."""
    if frame.ndim == 3 and len(shown.shape) == 2:
        frame = frame.mean(axis=-1)
    elif frame.ndim == 2 and shown.shape[-1] == 3 and len(shown.shape) > 2:
        frame = frame[..., None].repeat(3, axis=-1)
    return resampled(frame[None] if frame.ndim + 1 == len(shown.shape) else frame, shown.shape)


def _repeated(values: Array) -> Callable[[Sample, _Shown], Array | None]:
    return lambda sample, shown: resampled(values, shown.shape)


_INPUTS: dict[Kind, tuple[type[Part], ...]] = {
    Kind.IMAGE: (Image,),
    Kind.VIDEO: (Video, Image),
    Kind.MASK: (Mask,),
    Kind.TENSOR: (Tensor, Image),
}
