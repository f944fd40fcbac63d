"""A model's identity: what it covers, what it leaves out, and what a server does when it changes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Call, Request, Text
from echelon.adapters.errors import IdentityChangedError, ModelNotReadyError
from echelon.adapters.identification import MOST_FILES
from echelon.adapters.identity import COMPARED, Identity, differences, sealed
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load
from echelon.clients import AsyncClient, Options, Retry
from echelon.server.app import Server
from echelon.server.config import ServerConfig

ONCE = Options(retry=Retry(attempts=1))
CODE = """
import os
from dataclasses import dataclass, field
from pathlib import Path
from echelon.adapters import Answer, BatchAdapter, Call, CallSupport, Card, Kind, Text
from echelon.adapters.settings import NO_IDENTITY, SECRET

@dataclass(frozen=True)
class FlakeSettings:
    weights: Path | None = None
    folder: Path | None = None
    shift: int = 0
    device: str = "cpu"
    licence: str = field(default="", metadata=SECRET)
    headers: dict[str, str] = field(default_factory=dict, metadata=SECRET)
    api_key: str = ""
    key_file: Path | None = field(default=None, metadata=SECRET)
    log: Path | None = field(default=None, metadata=NO_IDENTITY)
    engine: str = "flake 1"
    precision: str = "float32"
    image_token: str = "<image>"
    extra: dict[str, str] = field(default_factory=dict)
    edited: Path | None = field(default=None, metadata=NO_IDENTITY)

class Flake(BatchAdapter[FlakeSettings]):
    def open(self, settings):
        self.settings = settings
        self.weights = settings.weights.read_text() if settings.weights else ""
        if settings.edited:
            settings.edited.write_text(settings.edited.read_text() + "# edited\\n")

    def card(self):
        language = CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,))
        settings = self.settings
        return Card("1", (language,), engine=settings.engine, precision=settings.precision, device=settings.device)

    def language(self, requests):
        if any(request.instruction == "die" for request in requests):
            os._exit(1)
        return [Answer((Text(self.weights + "WORD"),)) for request in requests]
"""


class Site:
    """An installed third-party distribution, which may be upgraded, or edited in place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "flake").mkdir(parents=True)
        self.edit("one")
        self.install("1.0")

    def edit(self, word: str) -> None:
        (self.folder / "flake" / "__init__.py").write_text("from flake.model import Flake\n")
        (self.folder / "flake" / "model.py").write_text(CODE.replace("WORD", word))

    def install(self, version: str) -> None:
        for old in self.folder.glob("*.dist-info"):
            for file in old.iterdir():
                file.unlink()
            old.rmdir()
        info = self.folder / f"flake-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: flake\nVersion: {version}\n")
        (info / "entry_points.txt").write_text("[echelon.adapters]\nflake = flake:Flake\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(made.folder)
    monkeypatch.setenv("PYTHONPATH", str(made.folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield made
    for name in ("flake", "flake.model"):
        sys.modules.pop(name, None)


@asynccontextmanager
async def flake(settings: dict[str, Any] | None = None, *, trust: bool = True, **model: Any) -> Any:
    """A server of the plug-in, in this process where it is trusted."""
    for name in ("flake", "flake.model"):
        sys.modules.pop(name, None)
    values = {
        "listener": {"listen": "127.0.0.1:0"},
        "models": [{"name": "flake", "adapter": "flake", "settings": settings or {}, "max_batch_size": 1, **model}],
    }
    server = Server(load(ServerConfig, values), Registry.installed(), trust=("flake",) if trust else ())
    await server.start()
    try:
        assert await server.load() == {}
        yield server
    finally:
        await server.stop()


async def identity(settings: dict[str, Any] | None = None, **model: Any) -> Identity:
    async with flake(settings, **model) as server, AsyncClient(server.listener.address) as client:
        found = (await client.model("flake")).identity
        assert found is not None
        assert found.digest.startswith("sha256:")
        return found


async def test_whatever_can_change_an_answer_is_another_identity_and_says_what(site: Site, tmp_path: Path) -> None:
    weights, folder = tmp_path / "weights.bin", tmp_path / "folder"
    weights.write_text("first")
    folder.mkdir()
    (folder / "part-1").write_text("first")
    settings = {"weights": str(weights), "folder": str(folder)}
    before = await identity(settings)
    assert (before.distribution, before.distribution_version, before.adapter) == ("flake", "1.0", "flake")
    assert before == await identity(settings)

    assert differences(before, await identity({**settings, "shift": 1})) == ["settings"]
    assert differences(before, await identity(settings, trust=False, process={"environment": {"MODE": "b"}})) == [
        "settings"
    ]
    assert "engine flake 1 -> flake 2" in differences(before, await identity({**settings, "engine": "flake 2"}))
    assert "precision float32 -> int8" in differences(before, await identity({**settings, "precision": "int8"}))
    assert "device type cpu -> cuda" in differences(before, await identity({**settings, "device": "cuda:0"}))

    weights.write_text("other")
    other = await identity(settings)
    assert differences(before, other) == ["files"]
    (folder / "part-1").write_text("other")
    assert differences(other, await identity(settings)) == ["files"]
    (folder / "part-1").rename(folder / "part-2")
    assert differences(other, await identity(settings)) == ["files"]

    edited = await identity()
    site.edit("two")
    assert differences(edited, await identity()) == ["code"]
    site.install("1.1")
    assert differences(edited, await identity()) == ["distribution version 1.0 -> 1.1", "code"]


async def test_secrets_places_and_what_changes_no_answer_are_left_out(site: Site, tmp_path: Path) -> None:
    key, weights = tmp_path / "key", tmp_path / "weights.bin"
    key.write_text("4711")
    weights.write_text("first")
    before = await identity({"weights": str(weights), "key_file": str(key), "headers": {"x": "1"}})
    key.write_text("4712")
    (tmp_path / "moved").mkdir()
    moved = weights.rename(tmp_path / "moved" / "weights.bin")
    changed = {"licence": "s", "api_key": "s", "headers": {"x": "2"}, "log": str(key), "key_file": str(key)}
    assert before == await identity({"weights": str(moved), **changed})
    environment = {"environment": {"HF_TOKEN": "s", "CUDA_VISIBLE_DEVICES": "1"}}
    assert before == await identity(
        {"weights": str(moved), "key_file": str(key), "headers": {"x": "1"}}, trust=False, process=environment
    )
    assert before.digest != (await identity({"weights": str(moved), "headers": {"y": "1"}})).digest
    first, second = await identity({"device": "cuda:0"}), await identity({"device": "cuda:1"})
    assert first == second


async def test_a_name_is_secret_in_any_spelling_and_a_token_of_a_vocabulary_is_none(site: Site) -> None:
    names = ("Authorization", "Cookie", "x-api-key", "hf_token", "aws_secret_access_key")
    before = await identity({"extra": dict.fromkeys(names, "one")})
    assert before == await identity({"extra": dict.fromkeys(names, "two")})
    variables = ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN")
    one, two = [
        await identity(trust=False, process={"environment": dict.fromkeys(variables, value)}) for value in ("1", "2")
    ]
    assert one == two
    assert differences(await identity(), await identity({"image_token": "<img>"})) == ["settings"]


@pytest.mark.parametrize("edited", ["files", "code"])
async def test_what_changes_while_the_model_is_opened_makes_it_neither_the_old_nor_the_new_one(
    site: Site, tmp_path: Path, edited: str
) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_text("first")
    file = weights if edited == "files" else site.folder / "flake" / "model.py"
    old = await identity({"weights": str(weights)})
    torn = await identity({"weights": str(weights), "edited": str(file)})
    new = await identity({"weights": str(weights)})
    assert [differences(each, torn) for each in (old, new)] == [[edited], [edited]]
    assert any("changed while the model was opened" in each for each in torn.unverified)
    assert new.unverified == old.unverified == ()


async def test_what_no_digest_covers_is_named(site: Site, tmp_path: Path) -> None:
    assert (await identity({"engine": ""})).unverified == (
        "weights: no setting names a file, and the card has no weights_digest",
        "engine: the card names none",
    )
    named = {"extra": {"labels": str(site.folder), "words": "this/and/that", "other": "a\0/b", "long": "/x" * 9000}}
    assert (await identity(named)).unverified == (
        "extra.labels: a file that the setting names as text; as a Path it would be covered",
        "weights: no setting names a file, and the card has no weights_digest",
    )
    (direct,) = site.folder.glob("*.dist-info")
    (direct / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {"editable": true}}')
    assert (
        "code: of an editable installation only the adapter's own package is covered" in (await identity()).unverified
    )
    (direct / "direct_url.json").write_text('{"url": "file:///src", "dir_info": {}}')
    os.mkfifo(tmp_path / "pipe")
    assert (await identity({"folder": str(tmp_path)})).unverified == ("folder: pipe is not a regular file",)
    (tmp_path / "weights.bin").write_text("first")
    (tmp_path / "pipe").unlink()
    assert (await identity({"folder": str(tmp_path)})).unverified == ()


async def test_a_folder_is_read_through_its_links_without_end_and_up_to_a_number_of_files(
    site: Site, tmp_path: Path
) -> None:
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "blob").write_text("first")
    (folder / "linked").symlink_to(elsewhere / "blob")
    (folder / "within").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(folder)
    before = await identity({"folder": str(folder)})
    assert before.unverified == ()
    (elsewhere / "blob").write_text("other")
    assert differences(before, await identity({"folder": str(folder)})) == ["files"]
    for number in range(MOST_FILES):
        (folder / str(number)).touch()
    many = await identity({"folder": str(folder)})
    assert many.unverified == (f"folder: the folder has more than {MOST_FILES} files",)


async def test_a_user_without_a_home_gets_an_identity_all_the_same(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await identity()

    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("ECHELON_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    assert await identity() == before


async def test_the_files_that_the_settings_name_are_the_weights_of_a_card_that_declares_none(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "weights.bin").write_text("first")
    async with (
        flake({"weights": str(tmp_path / "weights.bin")}) as server,
        AsyncClient(server.listener.address) as client,
    ):
        info = await client.model("flake")
    assert info.identity is not None
    assert info.card.weights_digest == info.identity.files_digest != ""


async def test_a_call_that_expects_another_model_is_refused_and_one_that_expects_nothing_is_not(site: Site) -> None:
    async with flake() as server, AsyncClient(server.listener.address, ONCE) as client:
        info = await client.model("flake")
        assert info.identity is not None
        request = Request(Call.LANGUAGE, "say", id="a")
        first = await client.ask("flake", replace(request, expected_identity=info.identity.digest))
        assert first == await client.ask("flake", request)
        with pytest.raises(IdentityChangedError, match="is not the one that the call expects"):
            await client.ask("flake", replace(request, expected_identity="sha256:" + "0" * 64))
        with pytest.raises(IdentityChangedError):
            async for _ in client.stream_language("flake", replace(request, id="b", expected_identity="sha256:0")):
                pass


async def test_a_process_that_starts_again_with_other_files_is_another_model(
    site: Site, tmp_path: Path, until: Callable[..., Any]
) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_text("first")
    async with (
        flake({"weights": str(weights)}, trust=False) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        info = await client.model("flake")
        assert info.identity is not None
        asked = Request(Call.LANGUAGE, "say", id="a", expected_identity=info.identity.digest)
        assert (await client.ask("flake", asked)).parts == (Text("firstone"),)  # type: ignore[union-attr]  # it answers
        weights.write_text("other")
        # Of the calls that wait for the next process none is answered by another model than it expects.
        dying = asyncio.create_task(client.ask("flake", Request(Call.LANGUAGE, "die"), timeout_s=30))
        waiting = [
            asyncio.create_task(client.ask("flake", replace(asked, id=f"w{n}"), timeout_s=30)) for n in range(20)
        ]
        for told in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(told, BaseException):
                assert isinstance(told, IdentityChangedError | ModelNotReadyError), told
            else:
                assert told.parts == (Text("firstone"),)  # type: ignore[union-attr]  # it answers
        assert isinstance((await asyncio.gather(dying, return_exceptions=True))[0], Exception)
        await until(lambda: server.models.get("flake").state == "ready")
        after = await client.model("flake")
        assert after.identity is not None
        assert differences(info.identity, after.identity) == ["files"]
        assert after.card.weights_digest == after.identity.files_digest
        with pytest.raises(IdentityChangedError):
            await client.ask("flake", replace(asked, id="c"))
        # The same id from the same peer: what the other model answered is not replayed.
        fresh = await client.ask("flake", replace(asked, expected_identity=""))
        assert fresh.parts == (Text("otherone"),)  # type: ignore[union-attr]  # it answers


async def test_what_another_model_answered_is_not_kept_for_the_one_that_comes_back(
    site: Site, tmp_path: Path, until: Callable[..., Any]
) -> None:
    weights = tmp_path / "weights.bin"
    weights.write_text("first")

    async def text(request: Request) -> str:
        pieces = [piece async for piece in client.stream_language("flake", request, timeout_s=30)]
        return "".join(piece for piece in pieces if isinstance(piece, str))

    async with (
        flake({"weights": str(weights)}, trust=False) as server,
        AsyncClient(server.listener.address, ONCE) as client,
    ):
        model = server.models.get("flake")
        first = model.identity.current.digest
        asked = [Request(Call.LANGUAGE, "say", id=f"{n}", expected_identity=first) for n in range(20)]
        for content in ("other", "first"):
            weights.write_text(content)
            dying = asyncio.create_task(client.ask("flake", Request(Call.LANGUAGE, "die"), timeout_s=30))
            waiting = [asyncio.create_task(text(request)) for request in asked] if content == "other" else []
            ended = await asyncio.gather(dying, *waiting, return_exceptions=True)
            assert any(isinstance(each, IdentityChangedError) for each in ended[1:]) == bool(waiting)
            await until(lambda: model.state == "ready")
        await until(lambda: model.identity.current.digest == first)
        assert {await text(request) for request in asked} == {"firstone"}


async def test_an_identity_passes_through_a_server_between(site: Site, tmp_path: Path) -> None:
    async with flake() as server:
        values = {
            "listener": {"listen": "127.0.0.1:0"},
            "models": [{"name": "far", "remote": {"target": f"{server.listener.address}/flake"}}],
        }
        between = Server(load(ServerConfig, values), Registry.installed())
        await between.start()
        try:
            await between.load()
            async with AsyncClient(between.listener.address, ONCE) as client:
                far = (await client.model("far")).identity
                assert far == server.models.get("flake").identity.current
                assert far is not None
                asked = Request(Call.LANGUAGE, "say", expected_identity=far.digest)
                assert (await client.ask("far", asked)).parts == (Text("one"),)  # type: ignore[union-attr]  # it answers
                # The server between has not looked again yet; the other one checks for itself.
                server.models.get("flake").identity.current = replace(far, digest="sha256:other")
                with pytest.raises(IdentityChangedError):
                    await client.ask("far", asked)
        finally:
            await between.stop()


def test_every_field_of_an_identity_is_in_its_digest_but_for_what_is_unverified() -> None:
    empty = sealed(Identity())
    for field in fields(Identity):
        value: Any = ("x",) if field.name == "unverified" else "x"
        changed = sealed(replace(empty, **{field.name: value}))
        assert (changed.digest != empty.digest) == (field.name in COMPARED), field.name
    assert COMPARED.keys() == {field.name for field in fields(Identity)} - {"digest", "unverified"}
