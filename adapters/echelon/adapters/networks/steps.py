"""The steps between a part and a network's input; docs/networks.md lists them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Literal

from echelon.adapters.content import DATA_TYPES, Kind
from echelon.adapters.errors import InvalidInputError, SettingsError
from echelon.adapters.networks.tokens import TokenForm, Tokens
from echelon.adapters.settings import load, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from echelon.adapters.networks.files import Folder


@dataclass(frozen=True, slots=True)
class Given:
    """What the values of an input come from; None is the instruction."""

    kind: Kind | None
    sample_rate_hz: int = 0

    @property
    def plane_at(self) -> int:
        """The axis of the height."""
        return 1 if self.kind is Kind.VIDEO else 0


class StepForm(ABC):
    """A step as model.yaml writes it."""

    @abstractmethod
    def bound(self, folder: Folder) -> Step:
        """The step, with the files opened that it names."""


class Step(StepForm):
    """Changes the values of one input; one that names no files is its own form."""

    def bound(self, folder: Folder) -> Step:
        return self

    @abstractmethod
    def __call__(self, values: Any, given: Given) -> Any:
        """The changed values; whatever numpy raises means that the values do not fit."""


@dataclass(frozen=True)
class Resize(Step):
    """To height and width."""

    size: tuple[int, int]
    method: Literal["bilinear", "nearest"] = "bilinear"

    def __post_init__(self) -> None:
        _at_least_1(*self.size)

    def __call__(self, values: NDArray[np.uint8], given: Given) -> NDArray[np.uint8]:
        import numpy as np

        if values.shape[given.plane_at : given.plane_at + 2] == self.size:
            return values
        if given.plane_at:
            return np.stack([self._resized(frame) for frame in values])
        return self._resized(values)

    def _resized(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import numpy as np
        from PIL import Image

        one_channel = pixels.ndim == 3 and pixels.shape[2] == 1
        opened = Image.fromarray(pixels[..., 0] if one_channel else pixels)
        resized = opened.resize(self.size[::-1], getattr(Image.Resampling, self.method.upper()))
        return np.asarray(resized)[..., None] if one_channel else np.asarray(resized)


@dataclass(frozen=True)
class Channels(Step):
    """To grey or RGB, channels last."""

    count: Literal[1, 3]

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        import numpy as np

        values = _with_channels(values, given)
        if values.shape[-1] == self.count:
            return values
        if self.count == 3:
            return np.repeat(values, 3, axis=-1)
        grey = np.dot(values, np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        rounded: NDArray[Any] = np.rint(grey) if values.dtype.kind == "u" else grey
        return rounded.astype(values.dtype)


@dataclass(frozen=True)
class Scale(Step):
    """Times a factor."""

    factor: float

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[np.float32]:
        import numpy as np

        scaled: NDArray[np.float32] = np.multiply(values, self.factor, dtype=np.float32)
        return scaled


@dataclass(frozen=True)
class Normalize(Step):
    """Less the mean, over the spread, along the last axis."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        if 0 in self.std:
            raise ValueError("'std' must not be 0")

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[np.float32]:
        import numpy as np

        centred = np.subtract(values, np.array(self.mean, np.float32), dtype=np.float32)
        normalized: NDArray[np.float32] = np.divide(centred, np.array(self.std, np.float32))
        return normalized


@dataclass(frozen=True)
class Layout(Step):
    """From channels last to another order."""

    order: Literal["chw", "cfhw", "fchw"]

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        import numpy as np

        target = 1 if self.order == "fchw" else 0
        return np.moveaxis(_with_channels(values, given), -1, target)


@dataclass(frozen=True)
class Frames(Step):
    """A number of frames, picked evenly, or the last repeated."""

    count: int

    def __post_init__(self) -> None:
        _at_least_1(self.count)

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        import numpy as np

        last = len(values) - 1
        picked = np.linspace(0, last, self.count).round() if last >= self.count else np.arange(self.count).clip(0, last)
        return np.take(values, picked.astype(int), axis=0)


@dataclass(frozen=True)
class Mono(Step):
    """The mean of all channels."""

    wanted: Literal[True]

    def __call__(self, values: NDArray[np.float32], given: Given) -> NDArray[np.float32]:
        import numpy as np

        return values if values.ndim == 1 else np.mean(values, axis=1, dtype=np.float32)


@dataclass(frozen=True)
class Resample(Step):
    """To another sample rate, linearly."""

    hz: int

    def __post_init__(self) -> None:
        _at_least_1(self.hz)

    def __call__(self, values: NDArray[np.float32], given: Given) -> NDArray[np.float32]:
        import numpy as np

        if given.sample_rate_hz in (0, self.hz):
            return values
        at = np.arange(round(len(values) * self.hz / given.sample_rate_hz)) * (given.sample_rate_hz / self.hz)
        channels = values.reshape(len(values), -1).T
        resampled = [np.interp(at, np.arange(len(values)), channel) for channel in channels]
        return np.stack(resampled, axis=-1).astype(np.float32).reshape(len(at), *values.shape[1:])


@dataclass(frozen=True)
class Length(Step):
    """Cut, or padded with zeros, along the first axis."""

    count: int

    def __post_init__(self) -> None:
        _at_least_1(self.count)

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        import numpy as np

        fitted = np.zeros((self.count, *values.shape[1:]), values.dtype)
        fitted[: len(values)] = values[: self.count]
        return fitted


@dataclass(frozen=True)
class Points(Step):
    """A number of points, picked evenly by index, or repeated."""

    count: int

    def __post_init__(self) -> None:
        _at_least_1(self.count)

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        import numpy as np

        places, there = np.arange(self.count), len(values)
        if not there:
            raise ValueError("there are no points to pick from")
        return np.take(values, places * there // self.count if there > self.count else places % there, axis=0)


@dataclass(frozen=True)
class Tokenize(StepForm):
    """Text as that many numbers."""

    by: Literal["byte", "word", "character"]
    length: int
    vocabulary: str | None = None

    def __post_init__(self) -> None:
        _at_least_1(self.length)
        TokenForm(self.by, self.vocabulary)

    def bound(self, folder: Folder) -> Step:
        return _Tokenizing(Tokens(TokenForm(self.by, self.vocabulary), folder), self.length)


@dataclass(frozen=True)
class _Tokenizing(Step):
    tokens: Tokens
    length: int

    def __call__(self, values: str, given: Given) -> NDArray[np.int64]:
        import numpy as np

        numbers = self.tokens.encode(values)[: self.length]
        padded = np.zeros(self.length, np.int64)
        padded[: len(numbers)] = numbers
        return padded


@dataclass(frozen=True)
class Cast(Step):
    """To another element type."""

    data_type: str

    def __post_init__(self) -> None:
        if self.data_type not in DATA_TYPES:
            raise ValueError(f"unknown type {self.data_type!r}{nearest(self.data_type, DATA_TYPES)}")

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        return values.astype(self.data_type)


@dataclass(frozen=True)
class Reshape(Step):
    """To another shape."""

    shape: tuple[int, ...]

    def __call__(self, values: NDArray[Any], given: Given) -> NDArray[Any]:
        return values.reshape(self.shape)


STEPS: Mapping[str, type[StepForm]] = {
    "resize": Resize,
    "channels": Channels,
    "scale": Scale,
    "normalize": Normalize,
    "layout": Layout,
    "frames": Frames,
    "mono": Mono,
    "resample": Resample,
    "length": Length,
    "points": Points,
    "tokenize": Tokenize,
    "cast": Cast,
    "reshape": Reshape,
}
"""Every step by its name in model.yaml."""


def build(entries: tuple[dict[str, Any], ...], folder: Folder, where: str) -> tuple[Step, ...]:
    """The steps that a manifest lists."""
    return tuple(_build(entry, folder, f"{where}[{index}]") for index, entry in enumerate(entries))


def _build(entry: dict[str, Any], folder: Folder, where: str) -> Step:
    if len(entry) != 1:
        raise SettingsError(f"{where}: a step is one name and its value, not {', '.join(entry) or 'nothing'}")
    ((name, value),) = entry.items()
    if name not in STEPS:
        raise SettingsError(f"{where}: unknown step {name!r}{nearest(name, STEPS)}")
    options = value if isinstance(value, dict) else {_first_field(STEPS[name]): value}
    return load(STEPS[name], options, where=f"{where}.{name}").bound(folder)


def apply(steps: tuple[Step, ...], values: Any, given: Given, what: str) -> Any:
    """The values after all steps; InvalidInputError if they do not fit one of them."""
    for step in steps:
        try:
            values = step(values, given)
        except (AttributeError, IndexError, TypeError, ValueError, ZeroDivisionError) as error:
            shape = list(getattr(values, "shape", ()))
            name = type(step).__name__.strip("_").lower()
            raise InvalidInputError(f"{what} of shape {shape} does not fit the model's step {name!r}") from error
    return values


def _first_field(step: type[StepForm]) -> str:
    return next(field.name for field in fields(step))  # type: ignore[arg-type]  # those in the table are dataclasses


def _at_least_1(*counts: int) -> None:
    if min(counts) < 1:
        raise ValueError(f"must be at least 1, not {min(counts)}")


def _with_channels(values: NDArray[Any], given: Given) -> NDArray[Any]:
    """Grey pixels get an axis for their one channel."""
    return values[..., None] if values.ndim == given.plane_at + 2 else values
