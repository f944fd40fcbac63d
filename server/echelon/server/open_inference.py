"""The Open Inference Protocol as a second face of the same models."""

from __future__ import annotations

from functools import partial
from importlib.metadata import version
from typing import Any

import grpc

from echelon.adapters import Answer, Call, CallSupport, Mask
from echelon.adapters.errors import InvalidInputError, LimitExceededError, ModelNotFoundError, ModelNotReadyError
from echelon.rpc.config import Limits
from echelon.rpc.guard import Context
from echelon.server.calls import Calls
from echelon.server.model import ModelState, ServedModel
from echelon.server.models import Models
from echelon.server.threads import in_thread
from echelon.wire.open_inference import SERVICE, message, methods
from echelon.wire.tensors import metadata_of, request_from_tensors, response_to_tensors

Message = Any
"""One of the protocol's, whose classes are made when the server is."""


class OpenInferenceServicer:
    """The protocol's methods over the models of this server."""

    def __init__(self, models: Models, calls: Calls, limits: Limits) -> None:
        self._models = models
        self._calls = calls
        self._limits = limits

    async def ServerLive(self, request: Message, context: Context) -> Message:  # noqa: N802
        return message("ServerLiveResponse")(live=True)

    async def ServerReady(self, request: Message, context: Context) -> Message:  # noqa: N802
        ready = all(model.state is ModelState.READY for model in self._models.all())
        return message("ServerReadyResponse")(ready=ready)

    async def ModelReady(self, request: Message, context: Context) -> Message:  # noqa: N802
        try:
            ready = self._model(request.name, request.version).state is ModelState.READY
        # As Triton does: a model that is not there is not ready.
        except ModelNotFoundError:
            ready = False
        return message("ModelReadyResponse")(ready=ready)

    async def ServerMetadata(self, request: Message, context: Context) -> Message:  # noqa: N802
        return message("ServerMetadataResponse")(name="echelon", version=version("echelon"))

    async def ModelMetadata(self, request: Message, context: Context) -> Message:  # noqa: N802
        model = self._model(request.name, request.version)
        if not model.card.calls:
            raise ModelNotReadyError(f"model {model.name!r} is {model.state}", retry_after_s=1.0)
        return metadata_of(model.name, model.card.version, model.card.engine or "echelon", model.card.calls[0])

    async def ModelInfer(self, request: Message, context: Context) -> Message:  # noqa: N802
        model = self._model(request.model_name, request.model_version)
        make = partial(request_from_tensors, request, _default_call(model.card.calls))
        outcome = await self._calls.ask(model.name, make, request.ByteSize(), context.time_remaining())
        card_version = model.card.version
        try:
            if isinstance(outcome, Answer) and any(isinstance(part, Mask) for part in outcome.parts):
                response = await in_thread(lambda: response_to_tensors(outcome, request, card_version), "decodes")
            else:
                response = response_to_tensors(outcome, request, card_version)
        except InvalidInputError as error:
            raise InvalidInputError(f"model {model.name!r}: {error}") from None
        most, size = self._limits.message_bytes, response.ByteSize()
        if size > most:
            raise LimitExceededError(f"the model's answer has {size} bytes, a message at most {most}")
        return response

    def _model(self, name: str, wanted: str) -> ServedModel:
        model = self._models.get(name)
        if wanted and wanted != model.card.version:
            raise ModelNotFoundError(f"model {name!r} is there in version {model.card.version!r}, not {wanted!r}")
        return model


def add_to_server(servicer: OpenInferenceServicer, server: Any) -> None:
    """Register `servicer`, as generated code would."""
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            getattr(servicer, name),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )
        for name, (request, response) in methods().items()
    }
    server.add_registered_method_handlers(SERVICE, handlers)


def _default_call(calls: tuple[CallSupport, ...]) -> Call:
    return calls[0].call if calls else Call.COMPREHEND
