"""A route: from requests of one form, through one network, to answers of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from echelon.adapters.calls import Answer
from echelon.adapters.errors import BackendError, EchelonError, InvalidInputError, OutputInvalidError, SettingsError
from echelon.adapters.onnx import outputs, steps
from echelon.adapters.onnx.sources import PART_TYPES, values_of
from echelon.adapters.onnx.steps import Given
from echelon.adapters.settings import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from numpy.typing import NDArray

    from echelon.adapters.calls import Request, Returned
    from echelon.adapters.content import Part
    from echelon.adapters.onnx.files import Folder
    from echelon.adapters.onnx.manifest import RouteEntry
    from echelon.adapters.onnx.outputs import Output
    from echelon.adapters.onnx.session import Port, Session
    from echelon.adapters.onnx.steps import Step

Feeds = dict[str, "NDArray[Any]"]


@dataclass(frozen=True, slots=True)
class Feed:
    """How one input of the network is filled; `part_type` None takes the instruction."""

    port: Port
    part_type: type[Part] | None
    part_name: str | None
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
        if not self._takes(values):
            raise self._misfit(values)
        taken: NDArray[Any] = values
        return taken

    def _given(self, request: Request) -> tuple[Any, Given]:
        if self.part_type is None:
            return request.instruction, Given(None)
        return values_of(request.first(self.part_type, self.part_name))

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
        got = f"{values.dtype} of shape {list(values.shape)}" if hasattr(values, "shape") else "text"
        wanted = ["any" if length is None else length for length in self.port.item]
        return InvalidInputError(
            f"{self._what()} gives {got} to the model's input {self.port.name!r}, which takes {self.port.data_type} of "
            f"{wanted}"
        )


class Route:
    """Answers the requests that fit it."""

    def __init__(self, entry: RouteEntry, session: Session, folder: Folder, where: str) -> None:
        self.call = entry.call
        # A batch changes the last bits of a sum, and that would be another answer to the same call.
        self._alone = session.deterministic
        self.session = session
        self.output: Output = outputs.build(entry.output, folder, f"{where}.output")
        _check_names(self.output.sources, session.outputs, f"{where}.output.from", "output")
        _check_names(entry.inputs, session.inputs, f"{where}.inputs", "input")
        missing = sorted(set(session.inputs) - set(entry.inputs))
        if missing:
            raise SettingsError(f"{where}.inputs: nothing goes into the network's input {', '.join(missing)}")
        self.feeds = tuple(
            Feed(
                session.inputs[name],
                PART_TYPES.get(given.part),
                given.name,
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

    def answer(self, requests: Sequence[Request], feeds: Sequence[Feeds]) -> Sequence[Returned]:
        """An outcome for each request, whose inputs all have the same shapes."""
        if len(requests) > 1 and (self._alone or any(feed.port.shape[0] == 1 for feed in self.feeds)):
            return self._one_by_one(requests, feeds)
        try:
            results = self.session.run(self.output.sources, self._stacked(feeds))
        except Exception as error:  # noqa: BLE001  (the runtime's errors share no other class)
            if len(requests) > 1:  # one of them may be the cause
                return self._one_by_one(requests, feeds)
            failed = BackendError("the network failed to run")
            failed.__cause__ = error
            return [failed]
        return _answers(self.output, results, requests)

    def _one_by_one(self, requests: Sequence[Request], feeds: Sequence[Feeds]) -> list[Returned]:
        return [self.answer([request], [feed])[0] for request, feed in zip(requests, feeds, strict=True)]

    def _stacked(self, feeds: Sequence[Feeds]) -> Feeds:
        return {feed.port.name: _stack(feed.port, [item[feed.port.name] for item in feeds]) for feed in self.feeds}


def _stack(port: Port, items: Sequence[NDArray[Any]]) -> NDArray[Any]:
    import numpy as np

    cast = [np.ascontiguousarray(item, port.data_type).data for item in items]
    # numpy would let go of the interpreter for each row, and wait for each row until the server's loop is idle.
    return np.frombuffer(bytearray().join(cast), port.data_type).reshape(len(items), *items[0].shape)


def _answers(output: Output, results: Sequence[NDArray[Any]], requests: Sequence[Request]) -> list[Returned]:
    import numpy as np

    if any(values.shape[:1] != (len(requests),) for values in results):
        return [OutputInvalidError("the network's output has another batch than its input")] * len(requests)
    whole = np.logical_and.reduce([_whole_rows(values) for values in results])
    rows = np.flatnonzero(whole).tolist()
    returned: list[Returned] = [OutputInvalidError("the network's output has NaN in it")] * len(requests)
    if not rows:
        return returned
    if len(rows) < len(requests):
        results, requests = [values[rows] for values in results], [requests[row] for row in rows]
    for row, made in zip(rows, _made(output, results, requests), strict=True):
        returned[row] = made if isinstance(made, EchelonError) else Answer((made,))
    return returned


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
