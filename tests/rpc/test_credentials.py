"""Who may call: TLS, client certificates and bearer tokens, from files that may change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from echelon.adapters import Answer, Call, Request, errors
from echelon.clients import AsyncClient, Options, Pipeline, Retry, Tls
from echelon.v1 import model_service_pb2 as pb
from echelon.v1 import model_service_pb2_grpc as pb_grpc

Serving = Callable[..., Any]
ONCE = Retry(attempts=1)
TOKEN = "first-token-of-many"


def client_of(server: Any, **options: Any) -> AsyncClient:
    return AsyncClient(server.listener.address, Options(retry=ONCE, **options))


async def test_calls_travel_over_tls(serving: Serving, tls: dict[str, str], authority: Callable[..., Path]) -> None:
    async with serving(tls=tls) as server:
        async with client_of(server, tls=Tls(authority("authority"))) as client:
            assert (await client.model("parrot")).ready
        async with client_of(server, tls=Tls(authority("authority"), server_name="models.example")) as client:
            assert (await client.model("parrot")).ready


async def test_who_does_not_speak_tls_or_distrusts_the_server_gets_nowhere(
    serving: Serving, tls: dict[str, str], authority: Callable[..., Path]
) -> None:
    strangers = {
        "whoever listens there hung up; does it want TLS, or a certificate of ours": None,
        "its certificate is not from the authority that was given": Tls(authority("stranger")),
        "its certificate is for another name": Tls(authority("authority"), server_name="other.example"),
    }
    async with serving(tls=tls) as server:
        for words, stranger in strangers.items():
            async with client_of(server, tls=stranger) as client:
                with pytest.raises(errors.UnreachableError, match=f"cannot reach {server.listener.address}: .*{words}"):
                    await client.models()
    async with serving() as server, client_of(server, tls=Tls(authority("authority"))) as client:
        with pytest.raises(errors.UnreachableError, match="does not speak TLS"):
            await client.models()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"root": "nowhere.pem"}, "cannot read the TLS file nowhere.pem: No such file"),
        ({"root": "/dev/null"}, "the TLS file /dev/null holds no certificate in PEM form"),
        ({"certificate": "server.pem"}, "certificate and its key go together"),
        ({"key": "server.key"}, "certificate and its key go together"),
        ({"certificate": "/dev/null", "key": "/dev/null"}, "/dev/null holds no certificate"),
    ],
)
def test_files_that_a_client_cannot_use_are_told_before_it_tries(files: dict[str, str], words: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=words):
        replace(Tls(), **{name: Path(file) for name, file in files.items()}).credentials()  # type: ignore[arg-type]  # of one type each


async def test_mutual_tls_lets_in_whom_the_authority_signed(
    serving: Serving, tls: dict[str, str], authority: Callable[..., Path]
) -> None:
    root = authority("authority")
    authority("stranger")
    known, foreign = authority("known", by="authority"), authority("foreign", by="stranger")
    async with serving(tls={**tls, "client_ca": str(root)}) as server:
        async with client_of(server, tls=Tls(root, known, known.with_suffix(".key"))) as client:
            outcome = await client.ask("parrot", Request(Call.COMPREHEND, "me", id="a"))
            assert isinstance(outcome, Answer)
        for refused in (Tls(root), Tls(root, foreign, foreign.with_suffix(".key"))):
            async with client_of(server, tls=refused) as client:
                with pytest.raises(errors.UnreachableError):
                    await client.models()


async def test_a_request_id_belongs_to_the_certificate_that_used_it(
    serving: Serving, tls: dict[str, str], authority: Callable[..., Path]
) -> None:
    root = authority("authority")
    async with serving(tls={**tls, "client_ca": str(root)}) as server:
        for name in ("known", "other"):
            certificate = authority(name, by="authority")
            async with client_of(server, tls=Tls(root, certificate, certificate.with_suffix(".key"))) as client:
                # The same id with another body would be refused to one peer.
                assert await client.ask("parrot", Request(Call.COMPREHEND, name, id="mine"))


async def test_a_rotated_certificate_serves_the_next_connection(
    serving: Serving, authority: Callable[..., Path], tmp_path: Path
) -> None:
    authority("authority")
    authority("next-authority")
    certificate, key = tmp_path / "tls.pem", tmp_path / "tls.key"

    def install(name: str, by: str) -> None:
        issued = authority(name, by=by)
        certificate.write_bytes(issued.read_bytes())
        key.write_bytes(issued.with_suffix(".key").read_bytes())

    install("server", "authority")
    async with serving(tls={"certificate": str(certificate), "key": str(key)}) as server:
        async with client_of(server, tls=Tls(authority("authority"))) as client:
            assert await client.models()
        install("next-server", "next-authority")
        async with client_of(server, tls=Tls(authority("next-authority"))) as client:
            assert await client.models()


async def test_tls_files_that_cannot_be_used_are_told(
    serving: Serving, tls: dict[str, str], authority: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(errors.ConfigurationError, match=r"cannot read the TLS file .*gone\.pem"):
        async with serving(tls={**tls, "certificate": str(tmp_path / "gone.pem")}):
            pass
    nonsense = tmp_path / "nonsense"
    nonsense.write_text("no key")
    with pytest.raises(errors.ConfigurationError, match=r"the TLS certificate .* and the key .*nonsense do not fit"):
        async with serving(tls={**tls, "key": str(nonsense)}):
            pass
    with pytest.raises(errors.ConfigurationError, match=r"cannot read the TLS file .*gone\.pem"):
        AsyncClient("127.0.0.1:1", Options(tls=Tls(tmp_path / "gone.pem")))


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    path = tmp_path / "tokens"
    path.write_text(f"{TOKEN}\n\n  another-token  \n")
    return path


async def test_a_known_token_opens_every_method(serving: Serving, tokens: Path) -> None:
    async with serving(token_file=str(tokens)) as server:
        for token in (TOKEN, "another-token"):
            async with client_of(server, token=token) as client, Pipeline(client) as pipeline:
                assert (await client.model("parrot")).ready
                assert isinstance(await pipeline.ask("parrot", Request(Call.COMPREHEND, "x")), Answer)


CREDENTIALS: dict[str, tuple[tuple[tuple[str, str], ...], grpc.StatusCode]] = {
    "none": ((), grpc.StatusCode.UNAUTHENTICATED),
    "wrong": ((("authorization", "Bearer first-token-of-man"),), grpc.StatusCode.PERMISSION_DENIED),
    "empty": ((("authorization", "Bearer "),), grpc.StatusCode.PERMISSION_DENIED),
    "another scheme": ((("authorization", f"Basic {TOKEN}"),), grpc.StatusCode.PERMISSION_DENIED),
    "no scheme": ((("authorization", TOKEN),), grpc.StatusCode.PERMISSION_DENIED),
}


@pytest.mark.parametrize("given", CREDENTIALS)
async def test_without_a_known_token_every_method_but_a_check_of_health_is_shut(
    serving: Serving, tokens: Path, given: str
) -> None:
    metadata, code = CREDENTIALS[given]
    call = pb.Call(model="parrot", instruction="x")
    async with (
        serving(token_file=str(tokens)) as server,
        grpc.aio.insecure_channel(server.listener.address) as channel,
    ):
        models: Any = pb_grpc.ModelServiceStub(channel)
        health: Any = health_pb2_grpc.HealthStub(channel)
        calls = [
            models.ListModels(pb.ListModelsRequest(), metadata=metadata),
            models.Comprehend(pb.ComprehendRequest(call=call), metadata=metadata),
            models.StreamGenerate(pb.StreamGenerateRequest(call=call), metadata=metadata),
            # Nothing is written: a write to a stream that has just been refused makes grpc.aio forget why.
            models.Pipeline(metadata=metadata),
            health.Watch(health_pb2.HealthCheckRequest(), metadata=metadata),
        ]
        assert [await each.code() for each in calls] == [code] * len(calls)


@pytest.mark.parametrize("given", CREDENTIALS)
async def test_health_can_be_checked_without_a_token(serving: Serving, tokens: Path, given: str) -> None:
    async with (
        serving(token_file=str(tokens)) as server,
        grpc.aio.insecure_channel(server.listener.address) as channel,
    ):
        health: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", "parrot"):
            request = health_pb2.HealthCheckRequest(service=service)
            answer = await health.Check(request, metadata=CREDENTIALS[given][0])
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_clients_raise_what_the_server_says_of_their_credentials(serving: Serving, tokens: Path) -> None:
    async with serving(token_file=str(tokens)) as server:
        async with client_of(server) as client:
            with pytest.raises(errors.AuthMissingError):
                await client.models()
        async with client_of(server, token="unknown") as client, Pipeline(client) as pipeline:
            with pytest.raises(errors.AuthDeniedError):
                await client.models()
            with pytest.raises(errors.AuthDeniedError):
                await pipeline.ask("parrot", Request(Call.COMPREHEND))


async def test_a_rotated_token_counts_at_once_and_the_old_one_no_more(serving: Serving, tokens: Path) -> None:
    async with serving(token_file=str(tokens)) as server, client_of(server, token=TOKEN) as client:
        assert await client.models()
        away = tokens.rename(tokens.with_name("away"))  # noqa: ASYNC240  (a test may block its own loop)
        # A file that is away for a moment locks nobody out.
        assert await client.models()
        away.rename(tokens).write_text("next-token\n")
        with pytest.raises(errors.AuthDeniedError):
            await client.models()
        async with client_of(server, token="next-token") as renewed:
            assert await renewed.models()


async def test_a_token_file_without_a_token_is_refused(serving: Serving, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n \n")
    for path, words in ((empty, "holds no token"), (tmp_path / "gone", "cannot read the token file")):
        with pytest.raises(errors.ConfigurationError, match=words):
            async with serving(token_file=str(path)):
                pass


async def test_a_public_address_with_tls_and_tokens_is_served(
    serving: Serving, tls: dict[str, str], tokens: Path, authority: Callable[..., Path]
) -> None:
    async with serving(listen="0.0.0.0:0", tls=tls, token_file=str(tokens)) as server:
        port = server.listener.address.rpartition(":")[2]
        options = Options(tls=Tls(authority("authority")), token=TOKEN)
        async with AsyncClient(f"127.0.0.1:{port}", options) as client:
            assert await client.models()


@pytest.mark.parametrize("address", ["models.example:443", "10.0.0.1:1", "dns:///models.example:443"])
async def test_a_client_sends_no_token_in_the_clear_to_another_machine(address: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="refusing to send a token"):
        AsyncClient(address, Options(token=TOKEN))
