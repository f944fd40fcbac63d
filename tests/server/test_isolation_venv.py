"""Adapters in environments of their own, with packages that cannot share one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Answer, Call, Request, Text, errors
from echelon.clients import AsyncClient, Options, Retry

Serving = Callable[..., Any]
ROOT = Path(__file__).parents[2]
ROGUE = ROOT / "tests" / "vendor" / "rogue"
# The last of the old kind that this Python has wheels for.
OLD, NEW = ("1.26.4" if sys.version_info < (3, 13) else "2.1.3"), "2.2.6"
ONCE = Options(retry=Retry(attempts=1))


def environment(folder: Path, *packages: str) -> Path:
    """A virtual environment with these packages, as a vendor makes it."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
    subprocess.run(pip, check=True, timeout=110)
    return folder


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vendor's environment without Echelon."""
    return environment(tmp_path_factory.mktemp("old") / "env", f"numpy=={OLD}", str(ROGUE))


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vendor's environment with Echelon's SDK, and nothing for gRPC."""
    return environment(tmp_path_factory.mktemp("new") / "env", f"numpy=={NEW}", str(ROGUE), str(ROOT))


async def tell(client: AsyncClient, model: str, instruction: str) -> str:
    outcome = await client.ask(model, Request(Call.LANGUAGE, instruction))
    assert isinstance(outcome, Answer)
    (part,) = outcome.parts
    assert isinstance(part, Text)
    return part.value


@pytest.mark.timeout(300)
async def test_adapters_with_conflicting_packages_serve_side_by_side(serving: Serving, old: Path, new: Path) -> None:
    models = [
        {"name": "old", "adapter": "rogue", "process": {"python": str(old)}},
        {"name": "new", "adapter": "rogue", "process": {"python": str(new / "bin" / "python")}},
    ]
    async with serving(models) as server, AsyncClient(server.listener.address, ONCE) as client:
        for name, version, folder in (("old", OLD, old), ("new", NEW, new)):
            assert await tell(client, name, "numpy") == version
            assert await tell(client, name, "python") == str(folder / "bin" / "python")
        # Lent to the one, its own in the other.
        lent, own = [Path(await tell(client, name, "sdk")) for name in ("old", "new")]
        assert lent.samefile(ROOT / "adapters" / "echelon" / "adapters" / "__init__.py")
        assert new in own.parents
        # Killed, it comes back into the same environment.
        with pytest.raises(errors.AdapterCrashedError):
            await tell(client, "old", "segfault")
        version = ""
        while not version:
            with suppress(errors.ModelNotReadyError):
                version = await tell(client, "old", "numpy")
        assert version == OLD
    assert not lent.exists()


@pytest.mark.timeout(300)
async def test_an_environment_without_the_adapter_says_what_it_has(serving: Serving, old: Path) -> None:
    models = [{"name": "x", "adapter": "roque", "process": {"python": str(old)}}]
    async with serving(models, loads=False) as server:
        failed = await server.load()
    assert isinstance(failed["x"], errors.AdapterNotFoundError)
    words = f"no adapter 'roque' is installed (did you mean 'rogue'?), where {old / 'bin' / 'python'} looks"
    assert str(failed["x"]) == words


@pytest.fixture
def worker(new: Path) -> Path:
    """The part of the SDK in an environment that runs adapters for a server."""
    (found,) = new.glob("lib/python*/site-packages/echelon/adapters/worker")
    return found


@pytest.fixture
def another_protocol(worker: Path) -> Iterator[None]:
    """The environment's Echelon speaks otherwise."""
    frames = worker / "frames.py"
    before = frames.read_text()
    frames.write_text(before.replace("PROTOCOL = 1", "PROTOCOL = 99"))
    yield
    frames.write_text(before)


@pytest.fixture
def no_worker(worker: Path) -> Iterator[None]:
    """The environment's Echelon is older than isolation."""
    away = worker.rename(worker.with_name("elsewhere"))
    yield
    away.rename(worker)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("another_protocol", "speaks protocol 99, this server 1; install the same version there"),
        ("no_worker", "has an echelon that is too old to run in a process of its own; update it with"),
    ],
)
async def test_an_environment_with_another_echelon_is_told_apart(
    serving: Serving, new: Path, request: pytest.FixtureRequest, change: str, words: str
) -> None:
    request.getfixturevalue(change)
    models = [{"name": "x", "adapter": "rogue", "process": {"python": str(new)}}]
    async with serving(models, loads=False) as server:
        failed = await server.load()
    assert isinstance(failed["x"], errors.ConfigurationError)
    assert words in str(failed["x"])
