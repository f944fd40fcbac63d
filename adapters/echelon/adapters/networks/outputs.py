"""How a network's outputs become an answer; docs/networks.md lists the kinds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from echelon.adapters.content import (
    XYZ,
    Audio,
    Boxes,
    BoxSpace,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Number,
    PointCloud,
    ScoredLabel,
    Tensor,
    Text,
    Video,
)
from echelon.adapters.errors import EchelonError, OutputInvalidError, SettingsError, UnsupportedError
from echelon.adapters.networks.detections import boxes_of
from echelon.adapters.networks.tokens import TokenForm, Tokens
from echelon.adapters.settings import load, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from echelon.adapters.calls import Request
    from echelon.adapters.content import Part
    from echelon.adapters.networks.files import Folder

MOST_LABELS = 10
"""Labels of a choice, best first; nobody reads the others."""


@dataclass(frozen=True, kw_only=True)
class OutputForm(ABC):
    """An output as model.yaml writes it."""

    kind: ClassVar[Kind]
    source_count: ClassVar[int] = 1
    sources: tuple[str, ...] = field(metadata={"key": "from"})

    def __post_init__(self) -> None:
        if len(self.sources) != self.source_count:
            raise ValueError(f"'from' must name {self.source_count} outputs, not {len(self.sources)}")

    @abstractmethod
    def bound(self, folder: Folder) -> Output:
        """The output, with the files opened that it names."""


@dataclass(frozen=True, kw_only=True)
class Output(OutputForm):
    """Makes the answers of one route from the outputs named in `sources`; without files, it is its own form."""

    def bound(self, folder: Folder) -> Output:
        return self

    @abstractmethod
    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        """One part for each request, or the error in its place; `outputs` have the batch first."""


@dataclass(frozen=True, kw_only=True)
class Labelled(Output):
    """An output that speaks of labels, listed or in a file with one a line."""

    labels: tuple[str, ...] = ()
    labels_file: str | None = None

    def bound(self, folder: Folder) -> Output:
        if self.labels_file is None:
            return self
        return replace(self, labels=tuple(folder.lines(self.labels_file)), labels_file=None)

    def need_labels(self) -> None:
        """ValueError unless there are labels, each of them once."""
        if bool(self.labels) == bool(self.labels_file) or len(set(self.labels)) != len(self.labels):
            raise ValueError("it takes either 'labels', each of them once, or 'labels_file'")

    def check_labels(self, count: int) -> None:
        """OutputInvalidError unless the network tells that many labels apart."""
        if count != len(self.labels):
            raise OutputInvalidError(f"the network tells {count} labels apart, its route lists {len(self.labels)}")


@dataclass(frozen=True, kw_only=True)
class ChoiceOutput(Labelled):
    """Logits over labels; where the call offers labels, only those compete."""

    kind = Kind.CHOICE

    def __post_init__(self) -> None:
        super().__post_init__()
        self.need_labels()

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        logits = outputs[0]
        self.check_labels(_flat(logits).shape[1])
        made: list[Part | EchelonError] = [UnsupportedError("the model knows none of the offered labels")] * len(logits)
        for offered, rows in _grouped(request.labels for request in requests).items():
            known = [self.labels.index(label) for label in offered if label in self.labels] if offered else None
            if known != []:
                chosen = self._choices(_flat(logits)[rows], known)
                for row, choice in zip(rows, chosen, strict=True):
                    made[row] = choice
        return made

    def _choices(self, logits: NDArray[Any], known: list[int] | None) -> Iterator[Choice]:
        import numpy as np

        labels = self.labels if known is None else [self.labels[place] for place in known]
        logits = logits.astype(np.float64) if known is None else logits[:, known].astype(np.float64)
        scores = _softmax(logits)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :MOST_LABELS]
        best_scores = np.take_along_axis(scores, best, axis=1)
        for places, values in zip(best.tolist(), best_scores.tolist(), strict=True):
            yield Choice(tuple(ScoredLabel(labels[place], value) for place, value in zip(places, values, strict=True)))


@dataclass(frozen=True, kw_only=True)
class NumberOutput(Output):
    """One value."""

    kind = Kind.NUMBER
    scale: float = 1.0
    offset: float = 0.0
    unit: str = ""

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        import numpy as np

        values = _flat(outputs[0]).astype(np.float64) * self.scale + self.offset
        if values.shape[1] != 1:
            raise OutputInvalidError(f"the network gives {values.shape[1]} values where one number is wanted")
        return [
            Number(value, self.unit) if np.isfinite(value) else OutputInvalidError("the network's number is infinite")
            for value in values[:, 0].tolist()
        ]


@dataclass(frozen=True, kw_only=True)
class TextOutput(OutputForm):
    """Tokens, or logits over tokens of which the best counts; without `tokens`, text itself."""

    kind = Kind.TEXT
    tokens: TokenForm | None = None

    def bound(self, folder: Folder) -> Output:
        if self.tokens is None:
            return _PlainText(sources=self.sources)
        return _DecodedText(sources=self.sources, decoder=Tokens(self.tokens, folder))


@dataclass(frozen=True, kw_only=True)
class _DecodedText(Output):
    kind = Kind.TEXT
    decoder: Tokens

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        numbers = outputs[0].argmax(-1) if outputs[0].ndim == 3 else outputs[0]
        _expect(numbers, 2, "(length, vocabulary) or (length)")
        return [Text(self.decoder.decode(row)) for row in numbers.astype(int).tolist()]


@dataclass(frozen=True, kw_only=True)
class _PlainText(Output):
    kind = Kind.TEXT

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        return [Text(value) if isinstance(value, str) else value for value in _texts(outputs[0])]


@dataclass(frozen=True, kw_only=True)
class JsonOutput(Output):
    """A JSON document, as text."""

    kind = Kind.JSON

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        return [Json(value) if isinstance(value, str) else value for value in _texts(outputs[0])]


@dataclass(frozen=True, kw_only=True)
class ImageOutput(Output):
    """Pixels from 0 to 1; with `media_type`, an encoded file of that type."""

    kind = Kind.IMAGE
    layout: Literal["chw", "hwc"] = "chw"
    media_type: str | None = None

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        if self.media_type is not None:
            return [Image(item, self.media_type) for item in _elements(outputs[0])]
        pixels = _expect(outputs[0], 4, "(channels, height, width)")
        return [Image.from_array(item) for item in _pixels(pixels, 1 if self.layout == "chw" else 3)]


@dataclass(frozen=True, kw_only=True)
class AudioOutput(Output):
    """Samples from -1 to 1; with `media_type`, an encoded file of that type."""

    kind = Kind.AUDIO
    sample_rate_hz: int | None = None
    media_type: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.sample_rate_hz is None) == (self.media_type is None):
            raise ValueError("it takes either 'sample_rate_hz' or 'media_type'")

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        import numpy as np

        if self.sample_rate_hz is None:
            return [Audio(item, self.media_type or "") for item in _elements(outputs[0])]
        samples = np.clip(_flat(outputs[0]).astype(np.float32), -1, 1)
        return [Audio.from_array(item, self.sample_rate_hz) for item in samples]


@dataclass(frozen=True, kw_only=True)
class VideoOutput(Output):
    """Frames of pixels from 0 to 1."""

    kind = Kind.VIDEO
    frames_per_second: float
    layout: Literal["fchw", "cfhw"] = "fchw"

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        pixels = _expect(outputs[0], 5, "(frames, channels, height, width)")
        videos = _pixels(pixels, 2 if self.layout == "fchw" else 1)
        return [Video.from_array(item, frames_per_second=self.frames_per_second) for item in videos]


@dataclass(frozen=True, kw_only=True)
class PointCloudOutput(Output):
    """Points with channels."""

    kind = Kind.POINT_CLOUD
    channels: tuple[str, ...] = XYZ

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        points = _expect(outputs[0], 3, "(points, channels)")
        if points.shape[2] != len(self.channels):
            raise OutputInvalidError(f"the network gives {points.shape[2]} channels, its route {len(self.channels)}")
        return [PointCloud.from_array(item, channels=self.channels) for item in points]


@dataclass(frozen=True, kw_only=True)
class MaskOutput(Labelled):
    """Logits of each pixel's class."""

    kind = Kind.MASK
    resize: Literal["input"] | None = None

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        classes = _expect(outputs[0], 4, "(classes, height, width)")
        if self.labels:
            self.check_labels(classes.shape[1])
        values = classes.argmax(1).astype("uint8")
        return [
            Mask.from_array(self._resized(item, request), labels=self.labels)
            for item, request in zip(values, requests, strict=True)
        ]

    def _resized(self, values: NDArray[np.uint8], request: Request) -> NDArray[np.uint8]:
        import numpy as np

        if self.resize is None:
            return values
        height, width = _size_of_input(request)
        rows = np.arange(height) * values.shape[0] // height
        columns = np.arange(width) * values.shape[1] // width
        resized: NDArray[np.uint8] = values[rows[:, None], columns]
        return resized


@dataclass(frozen=True, kw_only=True)
class BoxesOutput(Labelled):
    """Corners from 0 to 1, and each box's score for each label."""

    kind = Kind.BOXES
    source_count = 2
    threshold: float = 0.5
    nms: float | None = None
    space: Literal["pixel", "unit"] = "pixel"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.need_labels()

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        corners = _expect(outputs[0], 3, "(boxes, 4)")
        scores = _expect(outputs[1], 3, "(boxes, labels)")
        self.check_labels(scores.shape[2])
        return [self._boxes(*item) for item in zip(corners, scores, requests, strict=True)]

    def _boxes(self, corners: NDArray[Any], scores: NDArray[Any], request: Request) -> Boxes:
        height, width = _size_of_input(request) if self.space == "pixel" else (1, 1)
        found = boxes_of(corners, scores, self.labels, threshold=self.threshold, nms=self.nms, size=(height, width))
        return Boxes(found, BoxSpace(self.space))


@dataclass(frozen=True, kw_only=True)
class TensorOutput(Output):
    """The values as they are."""

    kind = Kind.TENSOR

    def parts(self, outputs: Sequence[NDArray[Any]], requests: Sequence[Request]) -> Sequence[Part | EchelonError]:
        if len(outputs[0]) == 1:
            return [Tensor.from_array(outputs[0][0])]
        # One copy of the whole batch, and slices of it.
        whole = Tensor.from_array(outputs[0])
        shape, size = whole.shape[1:], len(whole.data) // len(outputs[0])
        starts = range(0, len(whole.data), size) if size else [0] * len(outputs[0])
        return [Tensor(whole.data[start : start + size], whole.data_type, shape) for start in starts]


OUTPUTS: Mapping[str, type[OutputForm]] = {
    output.kind: output
    for output in (
        ChoiceOutput,
        NumberOutput,
        TextOutput,
        JsonOutput,
        ImageOutput,
        AudioOutput,
        VideoOutput,
        PointCloudOutput,
        MaskOutput,
        BoxesOutput,
        TensorOutput,
    )
}
"""Every kind that a network can answer with."""


def build(entry: Mapping[str, Any], folder: Folder, where: str) -> Output:
    """The output that a manifest describes."""
    kind = str(entry.get("kind"))
    if kind not in OUTPUTS:
        raise SettingsError(f"{where}: 'kind' is {kind!r}{nearest(kind, OUTPUTS)}")
    options = {name: value for name, value in entry.items() if name != "kind"}
    return load(OUTPUTS[kind], options, where=where).bound(folder)


def _grouped(labels: Iterator[tuple[str, ...]]) -> dict[tuple[str, ...], list[int]]:
    rows: dict[tuple[str, ...], list[int]] = {}
    for row, offered in enumerate(labels):
        rows.setdefault(offered, []).append(row)
    return rows


def _flat(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), prod(values.shape[1:]))


def _elements(values: NDArray[Any]) -> list[bytes]:
    """The one element of each item; OutputInvalidError where they are no bytes, or another number of them."""
    flat = _flat(values)
    if values.dtype.kind != "O" or flat.shape[1] != 1:
        raise OutputInvalidError(
            f"the network gives {values.dtype} of shape {list(values.shape[1:])} where one text or file is wanted"
        )
    return [bytes(element) for element in flat[:, 0]]


def _texts(values: NDArray[Any]) -> Iterator[str | OutputInvalidError]:
    for element in _elements(values):
        try:
            yield element.decode()
        except UnicodeDecodeError:
            yield OutputInvalidError("the network's text is not UTF-8")


def _expect(values: NDArray[Any], axes: int, shape: str) -> NDArray[Any]:
    if values.ndim != axes:
        raise OutputInvalidError(f"the network gives {list(values.shape[1:])} where {shape} is wanted")
    return values


def _softmax(logits: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    # Finite, so that an infinite logit gives 0 or 1 and no NaN.
    finite = np.nan_to_num(logits)
    raised = np.exp(finite - finite.max(axis=1, keepdims=True))
    scores: NDArray[Any] = raised / raised.sum(axis=1, keepdims=True)
    return scores


def _pixels(values: NDArray[Any], channel_axis: int) -> NDArray[np.uint8]:
    """uint8 with channels last, without them in grey."""
    import numpy as np

    last = np.moveaxis(values, channel_axis, -1)
    if last.shape[-1] not in (1, 3):
        raise OutputInvalidError(f"the network gives pixels of {last.shape[-1]} channels; there can be 1 or 3")
    pixels: NDArray[np.uint8] = np.rint(np.clip(last, 0, 1) * 255).astype(np.uint8)
    return pixels[..., 0] if pixels.shape[-1] == 1 else pixels


def _size_of_input(request: Request) -> tuple[int, int]:
    """Height and width of the request's first image."""
    image = request.first(Image)
    if image.width and image.height:
        return image.height, image.width
    height, width = image.array().shape[:2]
    return height, width
