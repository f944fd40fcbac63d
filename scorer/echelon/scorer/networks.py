"""Instruments on ONNX Runtime: a model folder, as the ONNX adapter serves it, whose routes take one part or more."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from echelon.adapters import Answer, Call, Kind, Number, Part, Request, Tensor
from echelon.adapters.errors import BackendError, EchelonError
from echelon.adapters.networks.files import Folder
from echelon.adapters.networks.model import Model
from echelon.adapters.onnx.session import OnnxEngine, Runtime
from echelon.scorer.errors import NotComputedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from echelon.adapters.calls import Returned


@dataclass(frozen=True, kw_only=True)
class Network(Runtime):
    """Which model folder, what to call it (its folder's name by default), and how to run it."""

    folder: Path
    name: str = ""


class _Onnx:
    """A model folder that is asked to comprehend."""

    settings_type: ClassVar = Network
    outputs: ClassVar[tuple[Kind, ...]]
    """What its routes may end in."""

    def __init__(self, settings: Network) -> None:
        folder = Folder(settings.folder)
        self._model = Model(folder, OnnxEngine(settings))
        self.name = settings.name or folder.path.name
        self.digest = self._model.digest
        support = self._model.card().support(Call.COMPREHEND)
        self._kinds = support.input_kinds if support else ()

    def _request(self, *parts: Part) -> Request:
        if parts[0].kind not in self._kinds:
            raise NotComputedError(f"{self.name} takes {' or '.join(self._kinds) or 'nothing'}, not {parts[0].kind}")
        return Request(Call.COMPREHEND, parts=parts, output_kinds=self.outputs)


class OnnxEmbedder(_Onnx):
    """Embeds with routes that turn one part into a tensor."""

    outputs = (Kind.TENSOR,)

    def embed(self, parts: Sequence[Part]) -> NDArray[np.float64]:
        """The networks' outputs, one row for each part."""
        import numpy as np

        tensors = [_only(returned) for returned in self._model.answer([self._request(part) for part in parts])]
        rows = [part.array().astype(np.float64).reshape(-1) for part in tensors if isinstance(part, Tensor)]
        if len({row.size for row in rows}) > 1:
            raise BackendError(f"{self.name} gives embeddings of several lengths; their networks must share one space")
        return np.stack(rows)


class OnnxJudge(_Onnx):
    """Judges with a route that turns the answer, and the references where it takes them, into a number."""

    outputs = (Kind.NUMBER,)

    def judge(self, answer: Part, references: Sequence[Part]) -> float:
        """The network's number."""
        (returned,) = self._model.answer([self._request(answer, *references)])
        mark = _only(returned)
        assert isinstance(mark, Number)
        return mark.value


class OnnxReader(_Onnx):
    """Reads with the first route that turns the answer into a text, a choice or a tensor."""

    outputs = (Kind.TEXT, Kind.CHOICE, Kind.TENSOR)

    def read(self, answer: Part) -> Part:
        """What the network says of the answer."""
        (returned,) = self._model.answer([self._request(answer)])
        return _only(returned)


def _only(returned: Returned) -> Part:
    if isinstance(returned, EchelonError):
        raise returned
    assert isinstance(returned, Answer)
    (part,) = returned.parts
    return part
