"""What model.yaml says: networks, and the routes from calls to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from echelon.adapters.calls import Call
from echelon.adapters.card import Composition
from echelon.adapters.errors import SettingsError
from echelon.adapters.settings import load, nearest, read_yaml

if TYPE_CHECKING:
    from echelon.adapters.networks.files import Folder

FILE = "model.yaml"

InputKind = Literal[
    "instruction", "text", "number", "image", "audio", "video", "point_cloud", "mask", "boxes", "tensor", "json"
]  # fmt: skip


ENCODED = ("image", "audio", "video")


@dataclass(frozen=True, slots=True)
class Input:
    """What goes into one input of a network: a part of the request, or its instruction, after some steps."""

    part: InputKind
    name: str | None = None
    encoded: bool = False
    """The part's file as it came, for networks that decode it themselves."""
    steps: tuple[dict[str, Any], ...] = ()

    def __post_init__(self) -> None:
        if self.encoded and (self.steps or self.part not in ENCODED):
            raise ValueError(f"'encoded' is for {', '.join(ENCODED)} without steps")


@dataclass(frozen=True, slots=True)
class RouteEntry:
    """Which network answers a call, from what, and how its outputs become the answer."""

    call: Call
    network: str
    inputs: dict[str, Input]
    output: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A model folder's description."""

    version: str
    networks: dict[str, dict[str, Any]]
    """What the engine reads, by name."""
    routes: tuple[RouteEntry, ...]
    description: str = ""
    composition: Composition = Composition.UNVERIFIED
    deterministic: bool = False
    precision: str = ""
    frame_sampling: str = ""

    def __post_init__(self) -> None:
        if not self.routes:
            raise ValueError("'routes' is empty")
        for index, route in enumerate(self.routes):
            name = route.network
            if name not in self.networks:
                raise ValueError(f"'routes[{index}].network' is {name!r}{nearest(name, self.networks)}")


def read(folder: Folder) -> Manifest:
    """The manifest of a model folder."""
    path = folder.locate(FILE)
    if not path.exists():
        raise SettingsError(f"{folder.path} has no {FILE}")
    return load(Manifest, read_yaml(path), folder=folder.path, where=str(path))
