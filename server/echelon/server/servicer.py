"""ModelService: translates, and nothing else."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from echelon.adapters import Call
from echelon.rpc.credentials import peer_of
from echelon.rpc.guard import Context, Guard
from echelon.server.calls import Calls
from echelon.server.contents import Contents
from echelon.server.model import ModelState, ServedModel
from echelon.server.models import Models
from echelon.server.pipeline import Pipeline
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc
from echelon.wire.cards import card_to_proto, identity_to_proto
from echelon.wire.rules import check

SERVICE = "echelon.v1.ModelService"
_PAGE = 100
_LARGEST_PAGE = 1000
_STATES = {
    ModelState.LOADING: pb.MODEL_STATE_LOADING,
    ModelState.READY: pb.MODEL_STATE_READY,
    ModelState.FAILED: pb.MODEL_STATE_FAILED,
    ModelState.DRAINING: pb.MODEL_STATE_DRAINING,
}


class ModelServicer(pb_grpc.ModelServiceServicer):
    """The contract over the models of this server."""

    def __init__(self, models: Models, calls: Calls, contents: Contents, guard: Guard) -> None:
        self._models = models
        self._calls = calls
        self._contents = contents
        self._guard = guard
        self._draining = asyncio.Event()

    def drain(self) -> None:
        """Let open Pipelines end once they have answered what they took."""
        self._draining.set()

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        check(request)
        size = min(request.page_size or _PAGE, _LARGEST_PAGE)
        after = [model for model in self._models.all() if model.name > request.page_token]
        page = after[:size]
        token = page[-1].name if len(after) > size else ""
        return pb.ListModelsResponse(models=[_model(model) for model in page], next_page_token=token)

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:  # noqa: N802
        check(request)
        return pb.GetModelResponse(model=_model(self._models.get(request.name)))

    async def Comprehend(self, request: pb.ComprehendRequest, context: Context) -> pb.ComprehendResponse:  # noqa: N802
        return pb.ComprehendResponse(outcome=await self._answer(Call.COMPREHEND, request.call, context))

    async def Generate(self, request: pb.GenerateRequest, context: Context) -> pb.GenerateResponse:  # noqa: N802
        return pb.GenerateResponse(outcome=await self._answer(Call.GENERATE, request.call, context))

    async def Language(self, request: pb.LanguageRequest, context: Context) -> pb.LanguageResponse:  # noqa: N802
        return pb.LanguageResponse(outcome=await self._answer(Call.LANGUAGE, request.call, context))

    async def PutContent(  # noqa: N802
        self,
        request_iterator: Any,  # which of two kinds the stubs leave open
        context: Context,
    ) -> pb.PutContentResponse:
        ref = await self._contents.receive(peer_of(context), request_iterator)
        response = pb.PutContentResponse(content_ref=ref)
        response.lifetime.FromMicroseconds(int(self._contents.lifetime_s * 1e6))
        return response

    # The stubs know only generators. Writing by hand keeps the writing within the call's time, and lets the results of
    # a Pipeline leave the moment they are ready.
    async def StreamGenerate(self, request: pb.StreamGenerateRequest, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        await self._stream(Call.GENERATE, request.call, context)

    async def StreamLanguage(self, request: pb.StreamLanguageRequest, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        await self._stream(Call.LANGUAGE, request.call, context)

    async def GetContent(self, request: pb.GetContentRequest, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        check(request)
        await self._contents.send(peer_of(context), request.content_ref, context.write)

    async def Pipeline(self, request_iterator: Any, context: Context) -> None:  # type: ignore[override]  # noqa: N802
        pipeline = Pipeline(self._calls, self._guard, context, peer_of(context))
        await pipeline.serve(request_iterator, self._draining)

    async def _answer(self, call: Call, message: pb.Call, context: Context) -> pb.Outcome:
        return await self._calls.answer(call, message, partial(peer_of, context), context.time_remaining())

    async def _stream(self, call: Call, message: pb.Call, context: Context) -> None:
        await self._calls.stream(call, message, partial(peer_of, context), context.time_remaining(), context.write)


def _model(model: ServedModel) -> pb.Model:
    current = model.identity.current
    identity = identity_to_proto(current) if current.digest else None
    return pb.Model(card=card_to_proto(model.card), state=_STATES[model.state], identity=identity)
