"""Checkpoints from a hub: a real HTTP server that speaks as much of its protocol as fetching one takes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from echelon.adapters.errors import SettingsError
from echelon.adapters.networks.files import Folder
from echelon.adapters.transformers import Transformers, TransformersSettings
from echelon.clients import AsyncClient

COMMIT, OTHER = "a" * 40, "b" * 40
UNWANTED = {
    "README.md": b"# Tiny",
    "pytorch_model.bin": b"pickled",
    "tf_model.h5": b"of TensorFlow",
    "model.onnx": b"of ONNX",
    "picture.png": b"an image",
    "own.py": b"raise SystemExit",
    "consolidated.safetensors": b"the same again",
    "onnx/config.json": b"{}",
    "original/model.safetensors": b"the same again",
}


@dataclass
class Hub:
    """Its repositories, by name and commit: what refers to a commit, and the files of each."""

    revisions: dict[str, dict[str, str]] = field(default_factory=dict)
    files: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    address: str = ""
    fetched: list[str] = field(default_factory=list)
    """The files that were asked for, in order."""

    def add(self, repository: str, commit: str, files: dict[str, bytes], *refs: str) -> None:
        self.revisions.setdefault(repository, {}).update({commit: commit, **dict.fromkeys(refs, commit)})
        self.files[commit] = files


class Handler(BaseHTTPRequestHandler):
    """Answers for a hub."""

    def __init__(self, hub: Hub, *args: Any) -> None:
        self._hub = hub
        super().__init__(*args)

    def do_GET(self) -> None:
        match unquote(urlsplit(self.path).path).strip("/").split("/"):
            case ["api", "models", owner, name, "revision", revision]:
                self._say(f"{owner}/{name}", revision, self._info)
            case ["api", "models", owner, name, "tree", revision]:
                self._say(f"{owner}/{name}", revision, self._tree)
            case [owner, name, "resolve", revision, *file]:
                self._say(f"{owner}/{name}", revision, partial(self._file, "/".join(file)))
            case _:
                self._send(404, b"", {})

    def do_HEAD(self) -> None:
        self.do_GET()

    def _say(self, repository: str, revision: str, answer: Callable[[str, str], None]) -> None:
        revisions = self._hub.revisions.get(repository)
        if revisions is None:
            self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
        elif revision not in revisions:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            answer(repository, revisions[revision])

    def _info(self, repository: str, commit: str) -> None:
        siblings = [{"rfilename": name} for name in self._hub.files[commit]]
        self._json({"id": repository, "modelId": repository, "sha": commit, "private": False, "siblings": siblings})

    def _tree(self, repository: str, commit: str) -> None:
        files = self._hub.files[commit].items()
        self._json([{"type": "file", "path": name, "size": len(data), "oid": _oid(data)} for name, data in files])

    def _file(self, name: str, repository: str, commit: str) -> None:
        if repository in self._hub.gated:
            self._send(403, b"", {"X-Error-Code": "GatedRepo"})
            return
        data = self._hub.files[commit][name]
        if self.command == "GET":
            self._hub.fetched.append(name)
        self._send(200, data, {"ETag": f'"{_oid(data)}"', "X-Repo-Commit": commit})

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Quietly."""


def _oid(data: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


@contextmanager
def listening(hub: Hub) -> Iterator[Hub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, hub))
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def tiny(checkpoint: Callable[[str], Path]) -> dict[str, bytes]:
    """The files of a checkpoint."""
    return {path.name: path.read_bytes() for path in checkpoint("llama").iterdir()}


@pytest.fixture
def hub(tiny: dict[str, bytes]) -> Iterator[Hub]:
    with listening(Hub()) as running:
        running.add("acme/tiny", COMMIT, {**tiny, **UNWANTED}, "main", "v1")
        yield running


@pytest.fixture
def opened(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Transformers]:
    """Opens a checkpoint in this process; the library has read the variables of its environment already."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", hub.address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))

    def open_it(**settings: Any) -> Transformers:
        adapter = Transformers()
        adapter.open(TransformersSettings(**settings))
        return adapter

    return open_it


async def test_only_what_the_checkpoint_is_made_of_is_fetched_and_then_it_is_there(
    processes: Callable[..., Any], hub: Hub, tiny: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    settings = {"hub": "acme/tiny", "version": "7"}
    config = tmp_path / "serve.yaml"
    # A size of batches that is measured differs from one start to the next.
    served = {"name": "tiny", "adapter": "transformers", "settings": settings, "max_batch_size": 2}
    config.write_text(yaml.safe_dump({"models": [served]}))

    async def card() -> Any:
        with (tmp_path / "serve.log").open("w") as log:
            process, address = await asyncio.to_thread(processes, "--config", str(config), log=log)
        async with asyncio.timeout(120), AsyncClient(address) as client:
            while (model := await client.model("tiny")).state == "loading":  # noqa: ASYNC110  (another process's state)
                await asyncio.sleep(0.1)
        process.terminate()
        process.wait()
        return model.card

    first = await card()
    assert sorted(hub.fetched) == sorted(tiny)
    assert first.version == f"7+{COMMIT}"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    second = await card()
    assert second == first
    assert len(hub.fetched) == len(tiny)


@pytest.mark.parametrize("revision", ["v1", COMMIT])
def test_a_pinned_revision_stays_what_it_is(
    hub: Hub, opened: Callable[..., Transformers], tiny: dict[str, bytes], revision: str
) -> None:
    card = opened(hub="acme/tiny", revision=revision).card()
    assert card.version == COMMIT
    config = json.loads(tiny["config.json"])
    changed = {**tiny, "config.json": json.dumps({**config, "architectures": ["LlamaModel"]}).encode()}
    hub.add("acme/tiny", OTHER, changed, "main")
    assert opened(hub="acme/tiny", revision=revision).card() == card
    with pytest.raises(SettingsError, match="no call is answered by a LlamaModel"):
        opened(hub="acme/tiny")


def test_a_hub_that_is_away_is_not_needed_for_what_was_fetched(
    tiny: dict[str, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[..., Transformers],
    hub: Hub,
) -> None:
    from huggingface_hub import constants

    card = opened(hub="acme/tiny").card()
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert opened(hub="acme/tiny").card() == card
    with pytest.raises(SettingsError, match="'acme/other' at 'main' cannot be fetched: "):
        opened(hub="acme/other")
    (weights,) = tmp_path.glob("cache/models--acme--tiny/snapshots/*/model.safetensors")
    weights.unlink()
    with pytest.raises(SettingsError, match=r"'acme/tiny' at 'main' cannot be fetched: .*incomplete"):
        opened(hub="acme/tiny")


def test_the_digest_covers_what_the_checkpoint_is_made_of_whatever_else_the_cache_holds(
    opened: Callable[..., Transformers], tiny: dict[str, bytes], tmp_path: Path, checkpoint: Callable[[str], Path]
) -> None:
    card = opened(hub="acme/tiny").card()
    assert card.weights_digest == f"sha256:{Folder(checkpoint('llama')).digest()}"
    (snapshot,) = tmp_path.glob("cache/models--acme--tiny/snapshots/*")
    (snapshot / "pytorch_model.bin").write_bytes(b"pickled")
    shutil.copytree(snapshot, snapshot / "onnx", symlinks=True)
    assert opened(hub="acme/tiny").card() == card


def test_code_is_fetched_where_it_may_run(hub: Hub, opened: Callable[..., Transformers]) -> None:
    opened(hub="acme/tiny", trust_remote_code=True)
    assert "own.py" in hub.fetched


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"hub": "acme/nothing"}, "'acme/nothing' at 'main' is not on the hub, or private; .*HF_TOKEN"),
        ({"hub": "acme/tiny", "revision": "v9"}, "'acme/tiny' has no revision 'v9' on the hub"),
        ({"hub": "acme/gated"}, "'acme/gated' at 'main' has terms to accept on the hub first; .*HF_TOKEN"),
        ({"hub": "acme/pickled"}, "'acme/pickled' at 'main' has no weights as safetensors"),
        ({"hub": "a/b/c"}, "'a/b/c' at 'main' cannot be fetched: Repo id"),
    ],
)
def test_what_the_hub_does_not_give_is_named(
    hub: Hub, opened: Callable[..., Transformers], tiny: dict[str, bytes], settings: dict[str, str], said: str
) -> None:
    hub.add("acme/gated", "c" * 40, tiny, "main")
    hub.gated.add("acme/gated")
    pickled = {"config.json": tiny["config.json"], "pytorch_model.bin": b"pickled"}
    hub.add("acme/pickled", "d" * 40, pickled, "main")
    with pytest.raises(SettingsError, match=said):
        opened(**settings)
    assert "pytorch_model.bin" not in hub.fetched
