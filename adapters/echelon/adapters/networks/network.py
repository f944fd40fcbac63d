"""What a route asks of a network, whichever engine runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.networks.files import Folder


BYTES = "object"
"""The element type of ports whose elements are texts or whole files."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input of a network: element type and shape, with None for what may vary; the first axis is the batch."""

    name: str
    data_type: str
    shape: tuple[int | None, ...]

    @property
    def item(self) -> tuple[int | None, ...]:
        """The shape of one item of a batch."""
        return self.shape[1:]


class Signature(Protocol):
    """What a network takes and gives."""

    @property
    def inputs(self) -> Mapping[str, Port]:
        """Its inputs, by name."""
        ...

    @property
    def outputs(self) -> Sequence[str]:
        """The names of its outputs."""
        ...


class Network(Signature, Protocol):
    """A function of arrays."""

    @property
    def device(self) -> str:
        """Where it really runs, as cards name it."""
        ...

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[Any]]:
        """The named outputs for a batch of inputs; may raise whatever the engine raises."""
        ...


class Engine(Protocol):
    """Opens networks."""

    @property
    def name(self) -> str:
        """The engine and its version, as cards name it."""
        ...

    def network(self, folder: Folder, entry: dict[str, Any], where: str, *, deterministic: bool) -> Network:
        """The network that an entry of the manifest describes; SettingsError where it does not."""
        ...
