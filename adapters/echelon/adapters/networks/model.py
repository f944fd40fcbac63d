"""A model folder, loaded: its networks behind its routes, and what its card says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters.card import Card
from echelon.adapters.errors import EchelonError
from echelon.adapters.networks import manifest
from echelon.adapters.networks.routes import Routes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.calls import Call, Request, Returned
    from echelon.adapters.networks.files import Folder
    from echelon.adapters.networks.network import Engine
    from echelon.adapters.networks.routes import Feeds, Route


class Model:
    """Answers requests with the networks of one folder, run by one engine."""

    def __init__(self, folder: Folder, engine: Engine) -> None:
        said = manifest.read(folder)
        self.manifest = said
        self.digest = folder.digest()
        self._engine = engine.name
        where = folder.path / manifest.FILE
        self.networks = {
            name: engine.network(folder, entry, f"{where}: networks.{name}", deterministic=said.deterministic)
            for name, entry in said.networks.items()
        }
        self.routes = Routes(said, self.networks, folder)

    def card(self) -> Card:
        """What the folder and the engine say of the model."""
        devices = {network.device for network in self.networks.values()}
        return card(
            self.manifest, self.routes, digest=self.digest, engine=self._engine, device=", ".join(sorted(devices))
        )

    def probe(self, call: Call) -> Request | None:
        """A made-up request for the first route of `call`."""
        return self.routes.probe(call)

    def answer(self, requests: Sequence[Request]) -> list[Returned]:
        """An outcome for each request; those that share a route and their shapes share a run."""
        returned: dict[int, Returned] = {}
        batches: dict[tuple[Route, tuple[object, ...]], list[tuple[int, Feeds]]] = {}
        for place, request in enumerate(requests):
            try:
                route = self.routes.route(request)
                feeds = route.prepare(request)
                shapes = tuple(values.shape for values in feeds.values())
                batches.setdefault((route, shapes), []).append((place, feeds))
            except EchelonError as error:
                returned[place] = error
        for (route, _), members in batches.items():
            network, asked = self.networks[route.network], [requests[place] for place, _ in members]
            outcomes = route.answer(network, asked, [feeds for _, feeds in members])
            returned.update(zip((place for place, _ in members), outcomes, strict=True))
        return [returned[place] for place in range(len(requests))]


def card(said: manifest.Manifest, routes: Routes, *, digest: str, engine: str, device: str) -> Card:
    """The card of a model folder; `digest` is in hex, empty where the weights are not in the folder."""
    return Card(
        said.version,
        routes.supports(),
        said.description,
        said.deterministic,
        f"sha256:{digest}" if digest else "",
        engine,
        said.precision,
        device,
        said.frame_sampling,
        said.composition,
    )
