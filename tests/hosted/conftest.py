"""A real HTTP server that speaks the APIs of OpenAI and Anthropic, as far as a test scripts it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "sk-sesame-4711"


@dataclass(frozen=True)
class Asked:
    """One HTTP request; header names are in lower case, and what is sent twice is joined by a comma."""

    path: str
    headers: dict[str, str]
    data: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.data)

    @property
    def said(self) -> Any:
        """What the last message says."""
        return self.body["messages"][-1]["content"]


@dataclass(frozen=True)
class Replied:
    """One HTTP response. `cut_at` breaks the connection after so many bytes of the body, `hangs` never sends any."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    cut_at: int | None = None
    hangs: bool = False


Script = Callable[[Asked], Replied]


def replied(body: Any, status: int = 200, **headers: str) -> Replied:
    """A response of JSON."""
    return Replied(json.dumps(body).encode(), status, {name.replace("_", "-"): text for name, text in headers.items()})


class Dialect:
    """How one of the two APIs says what both can say."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_openai = name == "openai"
        self.model = "gpt-test" if self.is_openai else "claude-test"

    def settings(self, url: str, **more: Any) -> dict[str, Any]:
        """Settings to ask the API at `url`."""
        return {"model": self.model, "base_url": url + ("/v1" if self.is_openai else ""), "api_key_env": "KEY", **more}

    def answer(self, text: str, finish: str = "stop", tokens: tuple[int, int] = (7, 3), **more: Any) -> Replied:
        """The whole reply that says `text`."""
        if self.is_openai:
            message = {"role": "assistant", "content": text, **more}
            return replied({
                "id": "1", "object": "chat.completion", "created": 1, "model": self.model,
                "choices": [{"index": 0, "message": message, "finish_reason": finish}],
                "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)},
            })  # fmt: skip
        reason = {"stop": "end_turn", "length": "max_tokens"}.get(finish, finish)
        return replied({
            "id": "1", "type": "message", "role": "assistant", "model": self.model, "stop_reason": reason,
            "content": [{"type": "text", "text": text}], "stop_sequence": None,
            "usage": {"input_tokens": tokens[0], "output_tokens": tokens[1]}, **more,
        })  # fmt: skip

    def events(self, pieces: list[str], finish: str = "stop") -> list[bytes]:
        """The same as server-sent events, one an item."""
        if self.is_openai:
            return [*(self._chunk({"content": piece}) for piece in pieces), self._chunk({}, finish), self._usage(),
                    b"data: [DONE]\n\n"]  # fmt: skip
        reason = {"stop": "end_turn", "length": "max_tokens"}.get(finish, finish)
        usage = {"input_tokens": 7, "output_tokens": 1}
        message: dict[str, Any] = {"id": "1", "type": "message", "role": "assistant", "model": self.model,
                                   "content": [], "stop_reason": None, "usage": usage}  # fmt: skip
        block = {"type": "text", "text": ""}
        return [
            event("message_start", message=message),
            event("content_block_start", index=0, content_block=block),
            *(event("content_block_delta", index=0, delta={"type": "text_delta", "text": piece}) for piece in pieces),
            event("content_block_stop", index=0),
            event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 3}),
            event("message_stop"),
        ]

    def _chunk(self, delta: dict[str, Any], finish: str | None = None) -> bytes:
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": self.model,
                 "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}  # fmt: skip
        return f"data: {json.dumps(chunk)}\n\n".encode()

    def _usage(self) -> bytes:
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": self.model, "choices": [],
                 "usage": usage}  # fmt: skip
        return f"data: {json.dumps(chunk)}\n\n".encode()

    def failure(self, status: int, word: str, message: str = "no", param: str | None = None, **headers: str) -> Replied:
        """An error with the API's word for it."""
        if self.is_openai:
            return replied(
                {"error": {"message": message, "type": word, "code": word, "param": param}}, status, **headers
            )
        return replied({"type": "error", "error": {"type": word, "message": message}}, status, **headers)


def event(kind: str, **fields: Any) -> bytes:
    """One event of Anthropic's streams."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


def streamed(events: list[bytes]) -> Replied:
    """A response of server-sent events."""
    return Replied(b"".join(events), content_type="text/event-stream")


class Api:
    """The server: replies as `script` says, and remembers what it was asked."""

    replied, streamed, raw = staticmethod(replied), staticmethod(streamed), Replied

    def __init__(self) -> None:
        self.script: Script = lambda asked: Replied(b"", 404)
        self.asked: list[Asked] = []
        self.left = threading.Event()
        """Set when a client goes away from a reply that hangs."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def one_by_one(self, *replies: Replied) -> None:
        """Reply with each in turn."""
        left = list(replies)
        self.script = lambda asked: left.pop(0)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def log_message(self, *args: Any) -> None:
                pass

            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                data = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): ", ".join(self.headers.get_all(name, ())) for name in self.headers}
                asked = Asked(self.path, headers, data)
                api.asked.append(asked)
                reply = api.script(asked)
                if reply.hangs:
                    self._wait_for_the_client_to_leave()
                    return
                self.send_response(reply.status)
                self.send_header("content-type", reply.content_type)
                self.send_header("content-length", str(len(reply.body)))
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: reply.cut_at])
                self.wfile.flush()
                if reply.cut_at is not None:
                    self.close_connection = True
                    self.connection.shutdown(socket.SHUT_RDWR)

            def _wait_for_the_client_to_leave(self) -> None:
                self.close_connection = True
                self.connection.settimeout(30)
                if self.connection.recv(1) == b"":
                    api.left.set()

        return Handler


@pytest.fixture
def api() -> Iterator[Api]:
    """The server, for one test."""
    api = Api()
    yield api
    api.close()


@pytest.fixture(params=["openai", "anthropic"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each of the two APIs."""
    return Dialect(request.param)


@pytest.fixture
def openai() -> Dialect:
    """The API of OpenAI, for what only it can do."""
    return Dialect("openai")


@pytest.fixture
def anthropic() -> Dialect:
    """The API of Anthropic, for what only it does so."""
    return Dialect("anthropic")


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    """The key in the environment, where all settings of these tests look for it."""
    monkeypatch.setenv("KEY", KEY)
    return KEY
