"""The Triton adapter behind a real Echelon server, in front of a real Triton."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from real_triton import RealTriton, write_model

from echelon.adapters import Answer, Call, Image, Json, Number, Outcome, Request, Tensor, Text, errors
from echelon.adapters.triton.memory import can_share
from echelon.clients import AsyncClient, Options, Retry
from echelon.clients.health import serving as healthy

Serving = Callable[..., Any]
ONCE = Options(retry=Retry(attempts=1))
LARGE = 300_000
"""Elements of a tensor that goes through shared memory."""

PYTHON = """
import time
import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        return [self.respond(request) for request in requests]

    def respond(self, request):
        values = lambda name: pb.get_input_tensor_by_name(request, name).as_numpy()
        answer = lambda **named: pb.InferenceResponse([pb.Tensor(name, value) for name, value in named.items()])
        {body}
"""
DOUBLE = PYTHON.format(body="return answer(y=values('x') * 2)")
TRIPLE = PYTHON.format(body="return answer(y=values('x') * 3)")
MOODY = PYTHON.format(
    body="""first = float(values('x')[0, 0])
        if first < 0:
            raise ValueError('sesame-4711')
        time.sleep(first)
        return answer(y=values('x') * 2)"""
)
"""Sleeps as long as the first number says, and fails where it is negative."""
MIXED = PYTHON.format(body="return answer(y=values('x') + values('z'), w=values('z') * 2)")
NAP = PYTHON.format(body="time.sleep(float(values('x')[0, 0])); return answer(y=values('x'))")
FAULT = PYTHON.format(body="raise ValueError('sesame-4711')")
SHOUT = PYTHON.format(
    body="return answer(shouted=np.array([[values('text')[0, 0].decode().upper().encode()]], np.object_))"
)
SIZE = PYTHON.format(body="return answer(bytes=np.array([len(values('file')[0])], np.float32))")
ECHO = PYTHON.format(body="return answer(file=values('file'), text=np.array([b'{\"a\": 1}'], np.object_))")
WORDS = """
import numpy as np
import triton_python_backend_utils as pb

class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            text = pb.get_input_tensor_by_name(request, "text").as_numpy()[0].decode()
            for word in text.split(" "):
                if word == "stop":
                    error = pb.TritonError("sesame-4711")
                    sender.send(pb.InferenceResponse([], error=error))
                    break
                piece = np.array([(word + " ").encode()], np.object_)
                sender.send(pb.InferenceResponse([pb.Tensor("piece", piece)]))
            sender.send(flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""


def ports(*, batch: int = 0, **tensors: str) -> str:
    """A configuration: `x="in FP32 4"`."""
    lines = [f"max_batch_size: {batch}", "instance_group [{kind: KIND_CPU, count: 2}]"]
    for name, said in tensors.items():
        way, data_type, *shape = said.split()
        lines.append(f'{way}put [{{name: "{name}", data_type: TYPE_{data_type}, dims: [{", ".join(shape)}]}}]')
    return "\n".join(lines) + "\n"


ENSEMBLE = """
max_batch_size: 8
platform: "ensemble"
input [{name: "x", data_type: TYPE_FP32, dims: [4]}]
output [{name: "y", data_type: TYPE_FP32, dims: [4]}]
ensemble_scheduling { step [
  {model_name: "double", model_version: -1, input_map {key: "x" value: "x"} output_map {key: "y" value: "between"}},
  {model_name: "triple", model_version: -1, input_map {key: "x" value: "between"} output_map {key: "y" value: "y"}}
]}
"""
VECTOR = ports(batch=8, x="in FP32 4", y="out FP32 4")


@pytest.fixture(scope="module")
def triton(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealTriton]:
    """With a model of every sort."""
    folder = tmp_path_factory.mktemp("triton")
    repository = folder / "repository"
    write_model(repository, "double", VECTOR + "dynamic_batching {}\n", DOUBLE)
    write_model(repository, "triple", VECTOR, TRIPLE)
    write_model(repository, "six", ENSEMBLE)
    (repository / "six" / "1").mkdir(exist_ok=True)
    write_model(repository, "large", ports(batch=4, x=f"in FP32 {LARGE}", y=f"out FP32 {LARGE}"), DOUBLE)
    write_model(repository, "moody", ports(batch=4, x=f"in FP32 {LARGE}", y=f"out FP32 {LARGE}"), MOODY)
    mixed = ports(batch=4, x=f"in FP32 {LARGE}", z="in FP32 1", y=f"out FP32 {LARGE}", w="out FP32 1")
    write_model(repository, "mixed", mixed, MIXED)
    write_model(repository, "nap", ports(batch=8, x="in FP32 1", y="out FP32 1"), NAP)
    write_model(repository, "fault", VECTOR, FAULT)
    write_model(repository, "shout", ports(batch=8, text="in STRING 1", shouted="out STRING 1"), SHOUT)
    write_model(repository, "size", ports(file="in STRING 1", bytes="out FP32 1"), SIZE)
    write_model(
        repository, "echo", ports(file="in STRING 1", text="out STRING 1").replace("output [", "output [") + "", ECHO
    )
    words = ports(text="in STRING 1", piece="out STRING 1") + "model_transaction_policy {decoupled: true}\n"
    write_model(repository, "words", words, WORDS)
    config = (repository / "echo" / "config.pbtxt").read_text()
    file = 'output [{name: "file", data_type: TYPE_STRING, dims: [1]}]\n'
    (repository / "echo" / "config.pbtxt").write_text(config + file)
    running = RealTriton(repository, folder).start()
    yield running
    running.stop()


def route(call: str, network: str, output: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    return {"call": call, "network": network, "inputs": inputs, "output": output}


def tensor(network: str) -> dict[str, Any]:
    return route("comprehend", network, {"kind": "tensor", "from": ["y"]}, x={"part": "tensor"})


def model(folder: Path, url: str, *routes: dict[str, Any], **settings: Any) -> list[dict[str, Any]]:
    """The configuration of one model called `triton`, over the models that the routes name."""
    networks = {entry["network"]: {"model": entry["network"]} for entry in routes}
    said = {"version": "1", "networks": networks, "routes": list(routes)}
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "model.yaml").write_text(yaml.safe_dump(said))
    return [
        {"name": "triton", "adapter": "triton", "settings": {"folder": str(folder / "model"), "url": url, **settings}}
    ]


def vector(*values: float) -> Request:
    return Request(Call.COMPREHEND, parts=(Tensor.from_array(np.array(values, np.float32)),))


def values(outcome: Outcome) -> list[float]:
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Tensor)
    listed: list[float] = part.array().tolist()
    return listed


@pytest.mark.parametrize(("network", "factor"), [("double", 2), ("six", 6)])
async def test_tensors_go_there_and_back(
    serving: Serving, triton: RealTriton, tmp_path: Path, network: str, factor: int
) -> None:
    async with (
        serving(model(tmp_path, triton.url, tensor(network))) as server,
        AsyncClient(server.listener.address) as client,
    ):
        outcomes = await asyncio.gather(*(client.ask("triton", vector(n, n, n, -n)) for n in range(40)))
    assert [values(outcome) for outcome in outcomes] == [[factor * n] * 3 + [-factor * n] for n in range(40)]


async def test_the_card_says_what_triton_says(serving: Serving, triton: RealTriton, tmp_path: Path) -> None:
    async with (
        serving(model(tmp_path, triton.url, tensor("double"))) as server,
        AsyncClient(server.listener.address) as client,
    ):
        card = (await client.model("triton")).card
    assert (card.engine, card.device) == ("triton 2.51.0", "cpu")


@pytest.mark.parametrize("sharing", ["auto", "off"])
def shared(triton: RealTriton) -> set[str]:
    """The names of the regions that Triton knows."""
    import tritonclient.grpc

    with tritonclient.grpc.InferenceServerClient(triton.url) as inspector:
        return set(inspector.get_system_shared_memory_status().regions)


def row(first: float, step: float = 1.0) -> Request:
    """A tensor that goes through shared memory, with `first` at its beginning."""
    return vector(first, *(step * np.arange(1, LARGE)))


def doubled(request: Request) -> list[float]:
    (part,) = request.parts
    assert isinstance(part, Tensor)
    listed: list[float] = (part.array() * 2).tolist()
    return listed


@pytest.mark.parametrize("sharing", ["auto", "off"])
async def test_large_tensors_are_the_same_shared_or_sent(
    serving: Serving, triton: RealTriton, tmp_path: Path, sharing: str
) -> None:
    asked = [row(n, n) for n in range(3)]
    async with (
        serving(model(tmp_path, triton.url, tensor("large"), shared_memory=sharing)) as server,
        AsyncClient(server.listener.address) as client,
    ):
        outcomes = await asyncio.gather(*(client.ask("triton", request) for request in asked))
        assert bool(shared(triton)) == (sharing == "auto")
    assert [values(outcome) for outcome in outcomes] == [doubled(request) for request in asked]
    assert not shared(triton)


@pytest.mark.parametrize("sharing", ["auto", "off"])
async def test_small_tensors_beside_large_ones_stay_in_the_message(
    serving: Serving, triton: RealTriton, tmp_path: Path, sharing: str
) -> None:
    inputs = {name: {"part": "tensor", "name": name} for name in ("x", "z")}
    both = route("comprehend", "mixed", {"kind": "tensor", "from": ["y"]}, **inputs)
    small = route("generate", "mixed", {"kind": "tensor", "from": ["w"]}, **inputs)
    given = {"x": np.arange(1, LARGE + 1, dtype=np.float32), "z": np.full(1, 5, np.float32)}
    parts = tuple(Tensor.from_array(value, name=name) for name, value in given.items())
    async with (
        serving(model(tmp_path, triton.url, both, small, shared_memory=sharing)) as server,
        AsyncClient(server.listener.address) as client,
    ):
        large = await client.ask("triton", Request(Call.COMPREHEND, parts=parts))
        tiny = await client.ask("triton", Request(Call.GENERATE, parts=parts))
    assert values(large)[:3] == [6, 7, 8]
    assert values(tiny) == [10]


async def test_texts_files_and_documents_travel_as_bytes(serving: Serving, triton: RealTriton, tmp_path: Path) -> None:
    image = Image.from_array(np.arange(48, dtype=np.uint8).reshape(4, 4, 3))
    routes = [
        route("language", "shout", {"kind": "text", "from": ["shouted"]}, text={"part": "instruction"}),
        route(
            "comprehend",
            "size",
            {"kind": "number", "from": ["bytes"]},
            file={"part": "image", "encoded": True},
        ),
        route(
            "generate",
            "echo",
            {"kind": "image", "from": ["file"], "media_type": "image/png"},
            file={"part": "image", "encoded": True},
        ),
        route("comprehend", "echo", {"kind": "json", "from": ["text"]}, file={"part": "image", "encoded": True}),
    ]
    async with (
        serving(model(tmp_path, triton.url, *routes)) as server,
        AsyncClient(server.listener.address) as client,
    ):
        shouted = await client.ask("triton", Request(Call.LANGUAGE, "grüße"))
        size = await client.ask("triton", Request(Call.COMPREHEND, parts=(image,)))
        echoed = await client.ask("triton", Request(Call.GENERATE, parts=(image,)))
        document = await client.ask("triton", Request(Call.COMPREHEND, parts=(image,), output_kinds=(Json.kind,)))
    assert isinstance(shouted, Answer)
    assert shouted.parts == (Text("GRÜSSE"),)
    assert isinstance(size, Answer)
    assert size.parts == (Number(len(image.data)),)
    assert isinstance(echoed, Answer)
    assert isinstance(echoed.parts[0], Image)
    assert echoed.parts[0].data == image.data
    assert isinstance(document, Answer)
    assert document.parts == (Json('{"a": 1}'),)


WORDS_ROUTE = route("language", "words", {"kind": "text", "from": ["piece"]}, text={"part": "instruction"})


async def test_a_decoupled_model_answers_with_all_of_its_responses(
    serving: Serving, triton: RealTriton, tmp_path: Path
) -> None:
    async with (
        serving(model(tmp_path, triton.url, WORDS_ROUTE)) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        outcome = await client.ask("triton", Request(Call.LANGUAGE, "one two three"))
        assert isinstance(outcome, Answer)
        assert outcome.parts == (Text("one two three "),)
        with pytest.raises(errors.AdapterFailedError, match="incident") as caught:
            await client.ask("triton", Request(Call.LANGUAGE, "one stop three"))
    assert "sesame" not in str(caught.value)


async def test_each_response_of_a_decoupled_model_is_a_piece_of_the_stream(
    serving: Serving, triton: RealTriton, tmp_path: Path
) -> None:
    parts = route("generate", "words", {"kind": "text", "from": ["piece"]}, text={"part": "instruction"})
    async with (
        serving(model(tmp_path, triton.url, WORDS_ROUTE, parts)) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        *pieces, outcome = [
            piece async for piece in client.stream_language("triton", Request(Call.LANGUAGE, "one two three"))
        ]
        assert pieces == ["one ", "two ", "three "]
        assert isinstance(outcome, Answer)
        assert outcome.parts == (Text("one two three "),)
        with pytest.raises(errors.AdapterFailedError, match="incident"):
            async for _ in client.stream_language("triton", Request(Call.LANGUAGE, "one stop three")):
                pass
        made = [piece async for piece in client.stream_generate("triton", Request(Call.GENERATE, "one two"))]
    assert isinstance(made[-1], Answer)
    assert made[-1].parts == (Text("one "), Text("two "))


async def test_a_model_that_fails_in_triton_tells_no_peer_why(
    serving: Serving, triton: RealTriton, tmp_path: Path
) -> None:
    async with (
        serving(model(tmp_path, triton.url, tensor("fault"))) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        with pytest.raises(errors.AdapterFailedError, match="incident") as caught:
            await client.ask("triton", vector(1, 2, 3, 4))
    assert "sesame" not in str(caught.value)


async def test_what_does_not_fit_the_model_never_gets_to_triton(
    serving: Serving, triton: RealTriton, tmp_path: Path
) -> None:
    async with (
        serving(model(tmp_path, triton.url, tensor("double"))) as server,
        AsyncClient(server.listener.address) as client,
    ):
        with pytest.raises(errors.InvalidInputError, match=r"'x', which takes float32 of \[4\]"):
            await client.ask("triton", vector(1, 2, 3))


async def test_a_deadline_and_a_cancellation_get_to_triton(
    serving: Serving, triton: RealTriton, tmp_path: Path
) -> None:
    async with (
        serving(model(tmp_path, triton.url, tensor("nap"))) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        started = time.monotonic()
        with pytest.raises(errors.BudgetExceededError):
            await client.ask("triton", Request(Call.COMPREHEND, parts=vector(3).parts, deadline=started + 0.5))
        assert time.monotonic() - started < 2
        given_up = asyncio.create_task(client.ask("triton", vector(3)))
        await asyncio.sleep(0.3)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        outcome = await client.ask("triton", vector(0))
    assert values(outcome) == [0]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            {"call": "comprehend", "network": "double", "inputs": {"z": {"part": "tensor"}}},
            r"no input 'z' \(known: x\)",
        ),
        (tensor("double") | {"output": {"kind": "tensor", "from": ["z"]}}, "no output 'z'"),
        (tensor("absent"), "not ready within 0.5 s: it does not serve absent"),
    ],
)
async def test_routes_are_checked_against_what_triton_says(
    serving: Serving, triton: RealTriton, tmp_path: Path, entry: dict[str, Any], said: str
) -> None:
    entry = {"output": {"kind": "tensor", "from": ["y"]}, **entry}
    async with serving(model(tmp_path, triton.url, entry, open_timeout_s=0.5), loads=False) as server:
        failed = await server.load()
    with pytest.raises(errors.ConfigurationError, match=said):
        raise failed["triton"]


async def test_without_a_triton_the_model_fails_to_load_and_says_where_it_looked(
    serving: Serving, tmp_path: Path
) -> None:
    async with serving(model(tmp_path, "127.0.0.1:9", tensor("x"), open_timeout_s=0.5), loads=False) as server:
        failed = await server.load()
    with pytest.raises(errors.AdapterLoadError, match=r"Triton at 127\.0\.0\.1:9 was not ready within 0\.5 s"):
        raise failed["triton"]


@pytest.fixture
def own_triton(tmp_path: Path) -> Iterator[RealTriton]:
    """One that the test may kill."""
    repository = tmp_path / "repository"
    write_model(repository, "double", VECTOR, DOUBLE)
    write_model(repository, "large", ports(batch=4, x=f"in FP32 {LARGE}", y=f"out FP32 {LARGE}"), DOUBLE)
    running = RealTriton(repository, tmp_path).start()
    yield running
    running.stop()


async def health(address: str, *, serving: bool) -> None:
    """Wait until the model's health says so."""
    async with asyncio.timeout(60):
        while await healthy(address, "triton") is not serving:  # noqa: ASYNC110  (it is another process's state)
            await asyncio.sleep(0.05)


async def test_a_triton_that_is_killed_and_comes_back(serving: Serving, own_triton: RealTriton, tmp_path: Path) -> None:
    async with (
        serving(model(tmp_path, own_triton.url, tensor("large"))) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        assert values(await client.ask("triton", row(1))) == doubled(row(1))
        before = shared(own_triton)
        await asyncio.to_thread(own_triton.kill)
        for _ in range(2):
            with pytest.raises(errors.BackendError, match=r"Triton at .* is away") as away:
                await client.ask("triton", row(1))
            assert away.value.retryable
        await health(server.listener.address, serving=False)
        await asyncio.to_thread(own_triton.start)
        await health(server.listener.address, serving=True)
        assert values(await client.ask("triton", row(2))) == doubled(row(2))
        after = shared(own_triton)
    assert len(before) == len(after) == 2  # one in, one out
    assert not before & after
    assert not there(before | after)


def there(names: set[str]) -> set[str]:
    """Of these regions, those that the machine still has."""
    return {name for name in names if (Path("/dev/shm") / name).exists()}


async def test_shared_memory_that_a_new_triton_does_not_know_costs_no_call(
    serving: Serving, triton: RealTriton, tmp_path: Path
) -> None:
    import tritonclient.grpc

    async with (
        serving(model(tmp_path, triton.url, tensor("large"))) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        asked = [row(n) for n in range(4)]
        await asyncio.gather(*(client.ask("triton", request) for request in asked))
        before = shared(triton)
        with tritonclient.grpc.InferenceServerClient(triton.url) as other:
            other.unregister_system_shared_memory()  # as a Triton that started anew
        for request in (*asked, row(9)):
            assert values(await client.ask("triton", request)) == doubled(request)
        assert shared(triton)
        assert not shared(triton) & before
        assert not there(before)


@pytest.mark.parametrize("first", [-1.0, 3.0])
async def test_the_shared_memory_of_a_call_that_fails_or_is_given_up_is_dropped(
    serving: Serving, triton: RealTriton, tmp_path: Path, until: Callable[..., Any], first: float
) -> None:
    async with (
        serving(model(tmp_path, triton.url, tensor("moody"))) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        async with asyncio.timeout(60):
            sound = asyncio.create_task(client.ask("triton", row(3)))
            await until(lambda: len(shared(triton)) == 2)
            other = shared(triton)
            bad = Request(Call.COMPREHEND, parts=row(first).parts, deadline=time.monotonic() + 0.8)
            with pytest.raises((errors.AdapterFailedError, errors.BudgetExceededError)):
                await client.ask("triton", bad)
            if first > 0:
                assert len(shared(triton)) == 4  # the model still writes
            await until(lambda: not there(shared(triton) - other))
            assert values(await sound) == doubled(row(3))
            assert there(other) == other
            await until(lambda: shared(triton) == other)  # once the model is done, and health was asked
            assert values(await client.ask("triton", row(0))) == doubled(row(0))
            assert shared(triton) == other


@pytest.mark.parametrize(
    ("version", "shares"), [("2.49.0", False), ("2.50.0", True), ("2.51.0", True), ("3.0.0dev", True), ("new", False)]
)
def test_a_triton_that_does_not_count_who_uses_its_regions_gets_none(version: str, shares: bool) -> None:
    assert can_share(version) is shares


@pytest.fixture
def small_memory() -> Iterator[tuple[Path, tuple[str, ...]]]:
    """64 MiB of shared memory in namespaces of its own: as seen from here, and the command that runs others in them."""
    mounted = "mount -t tmpfs -o size=64m tmpfs /dev/shm && echo mounted && exec sleep 600"
    keeper = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounted],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "mounted\n":
            pytest.skip(f"this machine lets nobody have namespaces: {keeper.communicate()[1]}")
        target = ("--target", str(keeper.pid))
        yield (
            Path(f"/proc/{keeper.pid}/root/dev/shm"),
            ("nsenter", *target, "--user", "--mount", "--preserve-credentials"),
        )
    finally:
        keeper.kill()
        keeper.communicate()


async def test_no_memory_is_shared_where_the_machine_has_no_room(
    processes: Callable[..., Any], small_memory: tuple[Path, tuple[str, ...]], tmp_path: Path
) -> None:
    place, inside = small_memory
    large = ports(batch=4, x=f"in FP32 {LARGE}", y=f"out FP32 {LARGE}").replace("count: 2", "count: 1")
    write_model(tmp_path / "repository", "large", large, DOUBLE)
    triton = RealTriton(tmp_path / "repository", tmp_path, inside=inside)
    await asyncio.to_thread(triton.start)
    try:
        (tmp_path / "serve.yaml").write_text(yaml.safe_dump({"models": model(tmp_path, triton.url, tensor("large"))}))
        with (tmp_path / "serve.log").open("w") as log:
            process, address = processes("--config", str(tmp_path / "serve.yaml"), log=log, inside=inside)
        asked = [row(n) for n in range(4)]
        async with AsyncClient(address) as client:
            assert values(await client.ask("triton", asked[0])) == doubled(asked[0])
            alone = shared(triton)
            filler = place / "filler"
            crowded = []
            for left in (16 << 20, 1 << 20):  # Triton's model has what it needs
                filler.write_bytes(bytes(_free(place) - left))
                outcomes = await asyncio.gather(*(client.ask("triton", request) for request in asked))
                assert [values(outcome) for outcome in outcomes] == [doubled(request) for request in asked]
                crowded.append(shared(triton))
                filler.unlink()
            async with asyncio.timeout(60):
                # More is made only when calls meet, and on a busy machine they may miss each other.
                while (roomy := shared(triton)) == alone:
                    await asyncio.gather(*(client.ask("triton", request) for request in asked))
    finally:
        triton.stop()
    assert process.poll() is None
    assert len(alone) == 2
    assert crowded == [alone, alone]
    assert roomy > alone


def _free(place: Path) -> int:
    said = os.statvfs(place)
    return said.f_bavail * said.f_frsize


async def test_a_model_that_triton_changed_stays_away(serving: Serving, own_triton: RealTriton, tmp_path: Path) -> None:
    async with serving(model(tmp_path, own_triton.url, tensor("double"))) as server:
        await asyncio.to_thread(own_triton.kill)
        await health(server.listener.address, serving=False)
        write_model(tmp_path / "repository", "double", ports(batch=8, x="in FP32 5", y="out FP32 5"), DOUBLE)
        await asyncio.to_thread(own_triton.start)
        await asyncio.sleep(3)
        assert not await healthy(server.listener.address, "triton")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Of this machine, and its key."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    subprocess.run([*command, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


async def test_a_certificate_and_a_token_get_us_into_triton(
    serving: Serving, tmp_path: Path, certificate: tuple[Path, Path]
) -> None:
    (tmp_path / "token").write_text("sesame-4711\n")
    repository = tmp_path / "repository"
    write_model(repository, "double", VECTOR, DOUBLE)
    secured = RealTriton(
        repository,
        tmp_path,
        "--grpc-use-ssl=1",
        f"--grpc-server-cert={certificate[0]}",
        f"--grpc-server-key={certificate[1]}",
        "--grpc-restricted-protocol=health,metadata,inference,model-config:authorization=sesame-4711",
    )
    ready = _listens(secured.url)
    await asyncio.to_thread(secured.start, ready=ready)
    try:
        settings = {"tls": {"root_certificates": str(certificate[0])}}
        token = {"header_files": {"triton-grpc-protocol-authorization": str(tmp_path / "token")}}
        async with (
            serving(model(tmp_path, secured.url, tensor("double"), **settings, **token)) as server,
            AsyncClient(server.listener.address) as client,
        ):
            assert values(await client.ask("triton", vector(1, 2, 3, 4))) == [2, 4, 6, 8]
        entry = model(tmp_path, secured.url, tensor("double"), **settings, open_timeout_s=0.5)
        async with serving(entry, loads=False) as server:
            failed = await server.load()
        with pytest.raises(errors.AdapterLoadError, match="authorization"):
            raise failed["triton"]
    finally:
        secured.stop()


def _listens(url: str) -> Callable[[], bool]:
    import socket

    host, _, port = url.rpartition(":")

    def ready() -> bool:
        with socket.socket() as trying:
            return trying.connect_ex((host, int(port))) == 0

    return ready
