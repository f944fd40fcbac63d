"""A model folder, loaded: its routes and what its card says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from echelon.adapters.calls import Call
from echelon.adapters.card import CallSupport, Card
from echelon.adapters.content import Kind
from echelon.adapters.errors import EchelonError, InvalidInputError, UnsupportedError
from echelon.adapters.onnx import manifest
from echelon.adapters.onnx.probes import probe
from echelon.adapters.onnx.routes import Route
from echelon.adapters.onnx.session import DEVICES, Session, engine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from echelon.adapters.calls import Request, Returned
    from echelon.adapters.onnx.files import Folder
    from echelon.adapters.onnx.routes import Feeds
    from echelon.adapters.onnx.session import Runtime


class Model:
    """Answers requests with the networks of one folder."""

    def __init__(self, folder: Folder, runtime: Runtime) -> None:
        self.manifest = manifest.read(folder)
        self.digest = folder.digest()
        self._sessions = {
            name: Session(folder, network.file, runtime, deterministic=self.manifest.deterministic)
            for name, network in self.manifest.networks.items()
        }
        self.routes = tuple(
            Route(entry, self._sessions[entry.network], folder, f"{folder.path / manifest.FILE}: routes[{index}]")
            for index, entry in enumerate(self.manifest.routes)
        )

    def card(self) -> Card:
        """What the folder and the runtime say of the model."""
        said = self.manifest
        return Card(
            said.version,
            tuple(self._support(call) for call in Call if any(route.call is call for route in self.routes)),
            said.description,
            said.deterministic,
            f"sha256:{self.digest}",
            engine(),
            said.precision,
            ", ".join(sorted({DEVICES.get(name, name) for name in self.providers().values()})),
            said.frame_sampling,
            said.composition,
        )

    def providers(self) -> dict[str, str]:
        """The execution provider that each network really runs on."""
        return {name: session.provider for name, session in self._sessions.items()}

    def probe(self, call: Call) -> Request | None:
        """A made-up request for the first route of `call`."""
        return next((probe(route) for route in self.routes if route.call is call), None)

    def answer(self, requests: Sequence[Request]) -> list[Returned]:
        """An outcome for each request; those that share a route and their shapes share a run."""
        returned: dict[int, Returned] = {}
        batches: dict[tuple[Route, tuple[object, ...]], list[tuple[int, Feeds]]] = {}
        for place, request in enumerate(requests):
            try:
                route = self._route(request)
                feeds = route.prepare(request)
                shapes = tuple(values.shape for values in feeds.values())
                batches.setdefault((route, shapes), []).append((place, feeds))
            except EchelonError as error:
                returned[place] = error
        for (route, _), members in batches.items():
            outcomes = route.answer([requests[place] for place, _ in members], [feeds for _, feeds in members])
            returned.update(zip((place for place, _ in members), outcomes, strict=True))
        return [returned[place] for place in range(len(requests))]

    def _route(self, request: Request) -> Route:
        """The first route that fits; the error says why none does."""
        offered = [
            route
            for route in self.routes
            if route.call is request.call and (not request.output_kinds or route.output.kind in request.output_kinds)
        ]
        if not offered:
            wanted = f" with {' or '.join(request.output_kinds)}" if request.output_kinds else ""
            raise UnsupportedError(f"this model does not answer {request.call}{wanted}")
        for route in offered:
            lacking = route.lacks(request)
            if lacking is None:
                return route
        assert lacking is not None
        assert lacking.part_type is not None
        named = f" named {lacking.part_name!r}" if lacking.part_name is not None else ""
        raise InvalidInputError(f"the call has no {lacking.part_type.kind} part{named}")

    def _support(self, call: Call) -> CallSupport:
        routes = [route for route in self.routes if route.call is call]
        taken = {feed.part_type.kind for route in routes for feed in route.feeds if feed.part_type is not None}
        given = {route.output.kind for route in routes}
        return CallSupport(call, in_order(taken or {Kind.TEXT}), in_order(given))


def in_order(kinds: set[Kind]) -> tuple[Kind, ...]:
    """The kinds as they follow each other in the contract."""
    return tuple(kind for kind in Kind if kind in kinds)
