"""Each check finds its own fault, and no other check takes it for its own."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import re
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from echelon.conformance import Conformance
from echelon.conformance.findings import Finding, State
from echelon.conformance.kit import CHECKS, Kit
from echelon.v1 import content_pb2
from echelon.v1 import model_service_pb2 as pb

FAULTS = {
    "shoddy-card": ("card", "weights_digest is 'md5:4711'; write sha256:"),
    "shoddy-forgetful": ("card", "the card lists no call that the class has a method for"),
    "shoddy-golden": (
        "golden",
        "comprehend: nothing that takes image is answered (CAPABILITY_UNSUPPORTED: images",
    ),
    "shoddy-empty": ("empty", "nothing at all got ADAPTER_EXCEPTION: IndexError: tuple index out of range (in answer"),
    "shoddy-large": ("large", "a large text got ADAPTER_EXCEPTION: RuntimeError: index 100000 is out of bounds"),
    "shoddy-broken": ("broken", "an image of random bytes got ADAPTER_EXCEPTION: ValueError: bad magic number"),
    # In the server's process, or in one of its own.
    "shoddy-crash": ("broken", r"process (that serves the model is gone \(exit|exited with) code 139"),
    "shoddy-numbers": ("numbers", "a tensor of NaN got ADAPTER_EXCEPTION: ValueError: cannot convert float NaN"),
    "shoddy-unicode": ("unicode", "got ADAPTER_EXCEPTION: UnicodeEncodeError: 'ascii' codec can't encode"),
    "shoddy-labels": ("labels", "the same label twice got ADAPTER_EXCEPTION: AssertionError (in answer, models.py"),
    "shoddy-determinism": ("determinism", '"value": "You said'),
    "shoddy-batching": ("batching", "among 24 calls got another answer than alone"),
    "shoddy-in-flight": ("in-flight", "ADAPTER_EXCEPTION: RuntimeError: the connection is in use"),
    "shoddy-streaming": ("streaming", "a generate stream gives another answer than the call: "),
    "shoddy-streaming-count": ("streaming", r"than the call: (\d+) tokens read and \d+ written, then \d+ .* and 1 "),
    "shoddy-streaming-deaf": ("streaming", "after a long language stream was cancelled, the model was not free"),
    "shoddy-streaming-draft": ("streaming", "a language stream gives another answer than the call: .*a draft"),
    "shoddy-streaming-end": ("streaming", "than the call: it ends as complete, then as length"),
    "shoddy-streaming-pieces": (
        "streaming",
        "a language stream ended with OUTPUT_INVALID: .* the pieces that the",
    ),
    "shoddy-streaming-rush": (
        "streaming",
        "language stream with a budget of 0.5 s got ADAPTER_EXCEPTION: Runt",
    ),
    "shoddy-cancellation": ("cancellation", "after a long comprehend was cancelled, the model was not free"),
    "shoddy-deadlines": ("deadlines", "with a budget of 0.5 s got ADAPTER_EXCEPTION: RuntimeError: no time left"),
    "shoddy-usage": ("usage", "was allowed 64 tokens and counts 10000 written"),
    "shoddy-refusals": ("refusals", "a delicate request to comprehend got BACKEND_UNAVAILABLE: content policy"),
    "shoddy-memory": ("memory", "the process grows: "),
    "shoddy-drain": ("drain", "the process ended with exit code 3"),
}
"""The adapter with the fault, the check that finds it, and what it says."""


def check_all(conformance: Conformance, *, skip: Collection[str] = ()) -> dict[str, Finding]:
    with Kit(conformance) as kit:
        return {check.id: kit.run(check) for check in CHECKS if check.id not in skip}


def failed(findings: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.said for name, finding in findings.items() if finding.state is State.FAILED}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("adapter", FAULTS)
def test_a_fault_fails_its_own_check_and_no_other(shoddy: None, adapter: str) -> None:
    check, said = FAULTS[adapter]
    # A process of its own would keep the server's end clean.
    isolation: Any = "inproc" if check == "drain" else None
    # Six seconds each; what does not leak is tried on the sound adapter.
    findings = check_all(Conformance(adapter, isolation=isolation), skip={"memory"} - {check})
    assert list(failed(findings)) == [check]
    assert said in findings[check].said or re.search(said, findings[check].said)
    assert findings[check].fix


def test_every_check_has_a_fault_that_it_finds() -> None:
    # What only a server can do wrong is tried on one, below.
    assert {check for check, _ in FAULTS.values()} | {"contract"} == {check.id for check in CHECKS}


@pytest.mark.timeout(300)
def test_a_sound_adapter_passes_with_its_settings(shoddy: None) -> None:
    findings = check_all(Conformance("sound", settings={"greeting": "Heard: "}))
    assert failed(findings) == {}
    skipped = {name: finding.said for name, finding in findings.items() if finding.state is State.SKIPPED}
    assert skipped == {
        "broken": "no kind that the card lists has broken media",
        "numbers": "no kind that the card lists has odd numbers",
        "streaming": "the card lists neither generate nor language",
    }


def test_a_sound_adapter_that_streams_passes(shoddy: None) -> None:
    findings = check_all(Conformance("sound-writing"), skip={"memory"})
    assert failed(findings) == {}
    assert re.fullmatch(r"language: 1 the same, given up within 0\.\d\d s", findings["streaming"].said)


async def any_model(request: Any, context: Any) -> pb.GetModelResponse:
    support = pb.CallSupport(
        call=pb.CALL_KIND_LANGUAGE, input_kinds=[content_pb2.KIND_TEXT], output_kinds=[content_pb2.KIND_TEXT]
    )
    card = pb.Card(name=request.name, version="1", calls=[support], deterministic=True)
    return pb.GetModelResponse(model=pb.Model(card=card, state=pb.MODEL_STATE_READY))


async def fine(request: Any, context: Any) -> pb.LanguageResponse:
    part = content_pb2.Part(text=content_pb2.Text(value="fine"))
    return pb.LanguageResponse(outcome=pb.Outcome(answer=pb.Answer(parts=[part])))


def events(pieces: list[str], whole: str) -> list[pb.StreamLanguageResponse]:
    """What a server sends that streams `pieces` and says that together they are `whole`."""
    rest = pb.Outcome(answer=pb.Answer(parts=[content_pb2.Part(text=content_pb2.Text())]))
    end = pb.TextEnd(outcome=rest, size_bytes=len(whole), sha256=hashlib.sha256(whole.encode()).digest())
    deltas = [pb.StreamLanguageResponse(sequence=number, delta=piece) for number, piece in enumerate(pieces)]
    return [*deltas, pb.StreamLanguageResponse(sequence=len(pieces), end=end)]


FINE = events(["fi", "ne"], "fine")


async def fine_stream(request: Any, context: Any) -> AsyncIterator[pb.StreamLanguageResponse]:
    for event in FINE:
        yield event


REQUESTS: dict[str, Any] = {
    "GetModel": pb.GetModelRequest,
    "Language": pb.LanguageRequest,
    "StreamLanguage": pb.StreamLanguageRequest,
}


async def late(request: Any, context: Any) -> pb.LanguageResponse:
    if request.call.HasField("budget"):
        await asyncio.sleep(2.5)
    return await fine(request, context)


def handler(answer: Any, request_type: Any) -> Any:
    streams = inspect.isasyncgenfunction(answer)
    make: Any = grpc.unary_stream_rpc_method_handler if streams else grpc.unary_unary_rpc_method_handler
    return make(answer, request_type.FromString, lambda response: response.SerializeToString())


@contextmanager
def serving(**methods: Any) -> Iterator[str]:
    """The address of a server that has these for methods; it runs on a loop of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[Any, int]:
        server = grpc.aio.server()
        handlers = {name: handler(answer, REQUESTS[name]) for name, answer in methods.items()}
        service = "echelon.v1.ModelService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        servicer = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        await servicer.set("any", health_pb2.HealthCheckResponse.SERVING)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_a_server_that_lets_everything_through_fails_the_contract_alone() -> None:
    with serving(GetModel=any_model, Language=fine, StreamLanguage=fine_stream) as address:
        findings = check_all(Conformance(f"{address}/any"))
    assert list(failed(findings)) == ["contract"]
    assert "which is not on the card, got an answer, not CAPABILITY_UNSUPPORTED" in findings["contract"].said
    ours = {"memory", "drain"}
    assert {findings[name].said for name in ours} == {"only for adapters that the kit serves by itself"}


def test_a_server_that_answers_for_a_model_it_does_not_hold_fails_the_contract() -> None:
    async def identified(request: Any, context: Any) -> pb.GetModelResponse:
        response = await any_model(request, context)
        response.model.identity.digest = "sha256:" + "1" * 64
        return response

    (contract,) = (check for check in CHECKS if check.id == "contract")
    with (
        serving(GetModel=identified, Language=fine) as address,
        Kit(Conformance(f"{address}/any")) as kit,
    ):
        finding = kit.run(contract)
    assert finding.state is State.FAILED
    assert "a call that expects another model got an answer, not IDENTITY_CHANGED" in finding.said


STREAMS: dict[str, tuple[list[pb.StreamLanguageResponse], str]] = {
    "whole": (FINE, ""),
    "shuffled": (
        [FINE[1], FINE[0], FINE[2]],
        "OUTPUT_INVALID: the stream contradicts itself: an event is missing",
    ),
    "with a gap": ([FINE[0], FINE[2]], "OUTPUT_INVALID: the stream contradicts itself: an event is missing"),
    "after its end": ([*FINE, FINE[0]], "OUTPUT_INVALID: the stream contradicts itself: an event is missing"),
    "another text": (events(["fi", "sh"], "fine"), "OUTPUT_INVALID: the stream contradicts itself: the text's size or"),
    "another answer": (events(["fi", "sh"], "fish"), "a language stream gives another answer than the call"),
    "cut off": (FINE[:2], "UNREACHABLE: the stream broke off before its final event"),
}
"""What a server streams where it should stream "fine", and what is said of it."""


@pytest.mark.parametrize("name", STREAMS)
def test_a_servers_stream_has_to_be_in_order_and_to_add_up_to_its_answer(name: str) -> None:
    sent, said = STREAMS[name]

    async def stream(request: Any, context: Any) -> AsyncIterator[pb.StreamLanguageResponse]:
        for event in sent:
            yield event

    (streaming,) = (check for check in CHECKS if check.id == "streaming")
    with (
        serving(GetModel=any_model, Language=fine, StreamLanguage=stream) as address,
        Kit(Conformance(f"{address}/any")) as kit,
    ):
        finding = kit.run(streaming)
    assert finding.state is (State.FAILED if said else State.PASSED)
    assert said in finding.said


def test_a_server_that_pays_no_heed_to_budgets_fails_the_deadlines() -> None:
    (deadlines,) = (check for check in CHECKS if check.id == "deadlines")
    with serving(GetModel=any_model, Language=late) as address, Kit(Conformance(f"{address}/any")) as kit:
        finding = kit.run(deadlines)
    assert finding.state is State.FAILED
    assert re.search(r"language with a budget of 0.5 s took [2-9].\d s longer", finding.said)
