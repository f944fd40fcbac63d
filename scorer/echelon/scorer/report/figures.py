"""One part of a sample as a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from echelon.adapters import (
    Box3D,
    Boxes,
    Choice,
    EchelonError,
    Image,
    Json,
    Kind,
    Mesh,
    Number,
    Part,
    PointCloud,
    Role,
    ScoredLabel,
    Tensor,
    Text,
    Video,
)
from echelon.scorer.report import overlays, pictures, sounds, spaces
from echelon.scorer.report.prose import clipped
from echelon.scorer.report.wording import number
from echelon.scorer.results import ViewedSample

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scene:
    """What the parts of a sample share: the picture below, the labels of its boxes, the space of its clouds."""

    canvas: NDArray[np.uint8] | None = None
    labels: tuple[str, ...] = ()
    extent: spaces.Extent | None = None

    @classmethod
    def of(cls, sample: ViewedSample) -> Scene:
        """The first input that is a picture; the space of the reference, else of the input."""
        clouds = [part for part in (*sample.references, *sample.inputs) if isinstance(part, PointCloud | Mesh | Boxes)]
        boxes = [part for part in (*sample.inputs, *sample.references, *sample.answer) if isinstance(part, Boxes)]
        pictured = [part for part in sample.inputs if isinstance(part, Image | Video)]
        return cls(
            next((canvas for part in pictured if (canvas := _canvas(part)) is not None), None),
            tuple(dict.fromkeys(box.label for part in boxes for box in part.boxes)),
            next((extent for part in clouds if (extent := _extent(part)) is not None), None),
        )


def _canvas(part: Image | Video) -> NDArray[np.uint8] | None:
    try:
        return part.array() if isinstance(part, Image) else part.array()[0]
    except EchelonError:
        return None


def _extent(part: PointCloud | Mesh | Boxes) -> spaces.Extent | None:
    try:
        return spaces.Extent.of(spaces.positions(part))
    except EchelonError:
        return None


def figure(part: Part, scene: Scene) -> Markup:
    """The part as it looks, or a line that says why it cannot be shown."""
    try:
        body = _DRAWN[part.kind](part, scene)
    except EchelonError as error:
        body = _broken(part.kind, f": {clipped(str(error), 200)}")
    except Exception:  # noqa: BLE001  # whatever a model sent, the rest of the report stands
        body = _broken(part.kind, "")
    return Markup('<figure class="{}">{}{}</figure>').format(part.kind, _named(part), body)


def _broken(kind: Kind, why: str) -> Markup:
    return Markup('<p class="broken">This {} cannot be shown{}</p>').format(kind.replace("_", " "), why)


def _named(part: Part) -> Markup:
    words = [word for word in (part.name, part.role if part.role is not Role.INPUT else "") if word]
    return Markup('<div class="name">{}</div>').format(clipped(", ".join(words), 80)) if words else Markup("")


def _text(part: Text, _: Scene) -> Markup:
    return Markup('<p class="words" dir="auto">{}</p>').format(clipped(part.value) or "(empty)")


def _number(part: Number, _: Scene) -> Markup:
    return Markup('<p class="value">{} {}</p>').format(f"{part.value:.6g}", clipped(part.unit, 40))


def _choice(part: Choice, _: Scene) -> Markup:
    return Markup('<ol class="labels">{}</ol>').format(Markup("").join(_scored(label) for label in part.labels[:5]))


def _scored(label: ScoredLabel) -> Markup:
    score = "" if label.score is None else number(label.score)
    return Markup('<li><bdi>{}</bdi> <span class="muted">{}</span></li>').format(clipped(label.label, 200), score)


def _json(part: Json, _: Scene) -> Markup:
    return Markup('<pre dir="auto">{}</pre>').format(clipped(part.value))


def _boxes(part: Boxes, scene: Scene) -> Markup:
    if any(isinstance(box, Box3D) for box in part.boxes):
        return spaces.cuboids(part, scene.extent)
    return overlays.boxes(part, scene.canvas, scene.labels)


def _tensor(part: Tensor, _: Scene) -> Markup:
    values = part.array()
    about = f"{part.data_type} of shape {' × '.join(map(str, part.shape)) or 'one'}"
    if values.ndim == 2 and 1 < max(values.shape) <= pictures.PIXEL_ART:
        return Markup("{}<figcaption>{}</figcaption>").format(pictures.heat(values), about)
    first = ", ".join(number(float(value)) for value in values.ravel()[:8])
    return Markup('<p class="value">{}{}</p><figcaption>{}</figcaption>').format(first, " …" * (values.size > 8), about)


# Kinds and their functions belong together by the table alone, so the values' own types differ.
_DRAWN: dict[Kind, Callable[[Any, Scene], Markup]] = {
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.CHOICE: _choice,
    Kind.IMAGE: lambda part, _: pictures.image(part),
    Kind.AUDIO: lambda part, _: sounds.audio(part),
    Kind.VIDEO: lambda part, _: pictures.video(part),
    Kind.POINT_CLOUD: lambda part, scene: spaces.point_cloud(part, scene.extent),
    Kind.MESH: lambda part, scene: spaces.mesh(part, scene.extent),
    Kind.MASK: lambda part, scene: overlays.mask(part, scene.canvas),
    Kind.BOXES: _boxes,
    Kind.TENSOR: _tensor,
    Kind.JSON: _json,
}
