"""Routes: each leads from requests of one form, through one network, to answers of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, prod
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import Answer, Call, Request
from echelon.adapters.card import CallSupport
from echelon.adapters.content import Kind
from echelon.adapters.errors import (
    BackendError,
    EchelonError,
    InvalidInputError,
    OutOfMemoryError,
    OutputInvalidError,
    SettingsError,
    UnsupportedError,
)
from echelon.adapters.networks import outputs, steps
from echelon.adapters.networks.manifest import FILE
from echelon.adapters.networks.network import BYTES
from echelon.adapters.networks.probes import probe
from echelon.adapters.networks.sources import PART_TYPES, encoded, values_of
from echelon.adapters.networks.steps import Given
from echelon.adapters.settings import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.calls import Returned
    from echelon.adapters.content import Part
    from echelon.adapters.networks.files import Folder
    from echelon.adapters.networks.manifest import Manifest, RouteEntry
    from echelon.adapters.networks.network import Network, Port, Signature
    from echelon.adapters.networks.outputs import Output
    from echelon.adapters.networks.steps import Step

Feeds = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Feed:
    """How one input of the network is filled; `part_type` None takes the instruction."""

    port: Port
    part_type: type[Part] | None
    part_name: str | None
    encoded: bool
    steps: tuple[Step, ...]

    def fits(self, request: Request) -> bool:
        """Whether the request has the part."""
        return self.part_type is None or any(
            isinstance(part, self.part_type) and self.part_name in (None, part.name) for part in request.parts
        )

    def values(self, request: Request) -> NDArray[Any]:
        """The input for one request; InvalidInputError where it does not fit the network."""
        values, given = self._given(request)
        if self.steps:
            values = steps.apply(self.steps, values, given, self._what())
        if self.port.data_type == BYTES and isinstance(values, str | bytes):
            values = _single(values, self.port)
        if not self._takes(values):
            raise self._misfit(values)
        taken: NDArray[Any] = values
        return taken

    def _given(self, request: Request) -> tuple[Any, Given]:
        if self.part_type is None:
            return request.instruction, Given(None)
        part: Any = request.first(self.part_type, self.part_name)
        return encoded(part) if self.encoded else values_of(part)

    def _what(self) -> str:
        return "the instruction" if self.part_type is None else f"the {self.part_type.kind}"

    def _takes(self, values: Any) -> bool:
        import numpy as np

        wanted, shape = self.port.item, getattr(values, "shape", None)
        if shape is None or len(shape) != len(wanted):
            return False
        fits = shape == wanted or all(length in (None, there) for length, there in zip(wanted, shape, strict=True))
        dtype = values.dtype
        return fits and (dtype == self.port.data_type or np.can_cast(dtype, self.port.data_type, "same_kind"))

    def _misfit(self, values: Any) -> InvalidInputError:
        if hasattr(values, "shape"):
            got = f"{values.dtype} of shape {list(values.shape)}"
        else:
            got = "text" if isinstance(values, str) else "an encoded file"
        wanted = ["any" if length is None else length for length in self.port.item]
        return InvalidInputError(
            f"{self._what()} gives {got} to the model's input {self.port.name!r}, which takes {self.port.data_type} of "
            f"{wanted}"
        )


class Route:
    """Answers the requests that fit it, each by itself where `alone` says so."""

    def __init__(self, entry: RouteEntry, signature: Signature, folder: Folder, where: str, *, alone: bool) -> None:
        self.call = entry.call
        self.network = entry.network
        self._alone = alone
        self.output: Output = outputs.build(entry.output, folder, f"{where}.output")
        _check_names(self.output.sources, signature.outputs, f"{where}.output.from", "output")
        _check_names(entry.inputs, signature.inputs, f"{where}.inputs", "input")
        missing = sorted(set(signature.inputs) - set(entry.inputs))
        if missing:
            raise SettingsError(f"{where}.inputs: nothing goes into the network's input {', '.join(missing)}")
        self.feeds = tuple(
            Feed(
                signature.inputs[name],
                PART_TYPES.get(given.part),
                given.name,
                given.encoded,
                steps.build(given.steps, folder, f"{where}.inputs.{name}.steps"),
            )
            for name, given in entry.inputs.items()
        )

    def lacks(self, request: Request) -> Feed | None:
        """The first input that the request has no part for."""
        return next((feed for feed in self.feeds if not feed.fits(request)), None)

    def prepare(self, request: Request) -> Feeds:
        """The network's inputs for one request."""
        return {feed.port.name: feed.values(request) for feed in self.feeds}

    def answer(self, network: Network, requests: Sequence[Request], feeds: Sequence[Feeds]) -> Sequence[Returned]:
        """An outcome for each request, whose inputs all have the same shapes."""
        if len(requests) > 1 and (self._alone or any(feed.port.shape[0] == 1 for feed in self.feeds)):
            return self._one_by_one(network, requests, feeds)
        try:
            results = network.run(self.output.sources, self.stacked(feeds))
        except OutOfMemoryError:
            raise  # half of the batch may fit, and who made the batch knows best
        except Exception as error:  # noqa: BLE001  (engines' errors share no other class)
            if len(requests) > 1:  # one of them may be the cause
                return self._one_by_one(network, requests, feeds)
            failed = BackendError("the network failed to run")
            failed.__cause__ = error
            return [failed]
        return self.answers(results, requests)

    def _one_by_one(self, network: Network, requests: Sequence[Request], feeds: Sequence[Feeds]) -> list[Returned]:
        return [self.answer(network, [request], [feed])[0] for request, feed in zip(requests, feeds, strict=True)]

    def stacked(self, feeds: Sequence[Feeds]) -> Feeds:
        """The network's inputs for a batch."""
        return {feed.port.name: _stack(feed.port, [item[feed.port.name] for item in feeds]) for feed in self.feeds}

    def answers(self, results: Sequence[NDArray[Any]], requests: Sequence[Request]) -> list[Returned]:
        """What the network gave for a batch, as outcomes."""
        return _answers(self.output, results, requests)


class Routes:
    """The routes of a model folder, in its order."""

    def __init__(self, manifest: Manifest, networks: Mapping[str, Signature], folder: Folder) -> None:
        self._routes = tuple(
            Route(
                entry,
                networks[entry.network],
                folder,
                f"{folder.path / FILE}: routes[{index}]",
                # A batch changes the last bits of a sum, and that would be another answer to the same call.
                alone=manifest.deterministic,
            )
            for index, entry in enumerate(manifest.routes)
        )

    def supports(self) -> tuple[CallSupport, ...]:
        """What the routes take and give, call by call."""
        return tuple(self._support(call) for call in Call if any(route.call is call for route in self._routes))

    def probe(self, call: Call) -> Request | None:
        """A made-up request for the first route of `call`."""
        return next((_probe(route) for route in self._routes if route.call is call), None)

    def route(self, request: Request) -> Route:
        """The first route that fits; the error says why none does."""
        offered = [
            route
            for route in self._routes
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
        routes = [route for route in self._routes if route.call is call]
        taken = {feed.part_type.kind for route in routes for feed in route.feeds if feed.part_type is not None}
        given = {route.output.kind for route in routes}
        return CallSupport(call, in_order(taken or {Kind.TEXT}), in_order(given))


def in_order(kinds: set[Kind]) -> tuple[Kind, ...]:
    """The kinds as they follow each other in the contract."""
    return tuple(kind for kind in Kind if kind in kinds)


def _probe(route: Route) -> Request | None:
    parts = probe(route.feeds)
    return None if parts is None else Request(route.call, "Answer.", parts, (route.output.kind,))


def _single(value: str | bytes, port: Port) -> NDArray[Any] | str | bytes:
    """The value as the one element of what the port takes; as it is where the port takes another number of them."""
    import numpy as np

    shape = tuple(length or 1 for length in port.item)
    if prod(shape) != 1:
        return value
    element = np.empty(shape, BYTES)
    element[...] = value.encode() if isinstance(value, str) else value
    return element


def _stack(port: Port, items: Sequence[NDArray[Any]]) -> NDArray[Any]:
    import numpy as np

    if port.data_type == BYTES:
        return np.stack(items)
    if len(items) == 1:
        return np.asarray(items[0], port.data_type, order="C")[None]
    cast = [np.ascontiguousarray(item, port.data_type).data for item in items]
    # numpy would let go of the interpreter for each row, and wait for each row until the server's loop is idle.
    return np.frombuffer(bytearray().join(cast), port.data_type).reshape(len(items), *items[0].shape)


def _answers(output: Output, results: Sequence[NDArray[Any]], requests: Sequence[Request]) -> list[Returned]:
    import numpy as np

    if any(values.shape[:1] != (len(requests),) for values in results):
        return [OutputInvalidError("the network's output has another batch than its input")] * len(requests)
    if not _has_nan(results):
        return [_outcome(made) for made in _made(output, results, requests)]
    whole = np.logical_and.reduce([_whole_rows(values) for values in results])
    rows = np.flatnonzero(whole).tolist()
    returned: list[Returned] = [OutputInvalidError("the network's output has NaN in it")] * len(requests)
    if not rows:
        return returned
    if len(rows) < len(requests):
        results, requests = [values[rows] for values in results], [requests[row] for row in rows]
    for row, made in zip(rows, _made(output, results, requests), strict=True):
        returned[row] = _outcome(made)
    return returned


def _outcome(made: Part | EchelonError) -> Returned:
    return made if isinstance(made, EchelonError) else Answer((made,))


def _has_nan(results: Sequence[NDArray[Any]]) -> bool:
    """Whether there is a NaN in any output: a sum of squares is NaN for no other reason, and quickly had."""
    import numpy as np

    found = [values.dtype.kind == "f" and isnan(np.vdot(values, values)) for values in results]
    return any(found)


def _whole_rows(values: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    if values.dtype.kind != "f":
        return np.ones(len(values), bool)
    broken: NDArray[Any] = np.isnan(values).any(axis=tuple(range(1, values.ndim)))
    return ~broken


def _made(
    output: Output, results: Sequence[NDArray[Any]], requests: Sequence[Request]
) -> Sequence[Part | EchelonError]:
    try:
        return output.parts(results, requests)
    except EchelonError as error:
        return [error] * len(requests)


def _check_names(named: Iterable[str], there: Collection[str], at: str, what: str) -> None:
    for name in named:
        if name not in there:
            raise SettingsError(f"{at}: the network has no {what} {name!r}{nearest(name, there)}")
