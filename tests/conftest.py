"""Real servers around a real plug-in, for every test that asks for them; `async def` tests run on the server's loop."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from hypothesis import settings

# Before any test imports onnxruntime itself: see docs/decisions.md.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# A shell's background jobs ignore Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

# What a busy machine takes longer for is not wrong.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

VENDOR = Path(__file__).parent / "vendor"
VENDORS = (VENDOR, VENDOR / "rogue")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests to their end."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    from echelon.rpc.loop import run

    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    run(lambda: pyfuncitem.obj(**arguments))
    return True


@pytest.fixture(scope="session", autouse=True)
def logs_as_served() -> None:
    """Servers in tests log as `echelon serve` does; the default of structlog forms all local variables at length."""
    from echelon.rpc import log

    log.configure()


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches of digests and suites, of this session alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECHELON_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def until() -> Callable[..., Any]:
    """Waits for a condition that nothing announces: `await until(lambda: ...)`."""

    async def wait(ready: Callable[[], bool]) -> None:
        while not ready():  # noqa: ASYNC110  (see above)
            await asyncio.sleep(0.002)

    return wait


@pytest.fixture(scope="session")
def vendor_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The metadata of the vendors' distributions, as an installer would write it."""
    site = tmp_path_factory.mktemp("site")
    for folder in VENDORS:
        _write_metadata(site, tomllib.loads((folder / "pyproject.toml").read_text())["project"])
    return site


def _write_metadata(site: Path, project: dict[str, Any]) -> None:
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def vendor(vendor_site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendors' distributions, installed in this process and in those it starts."""
    folders = [*map(str, VENDORS), str(vendor_site)]
    for folder in folders:
        monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(folders))


@pytest.fixture
def serving(vendor: None) -> Callable[..., Any]:
    """A context with a loaded server in this loop: `async with serving(model={...}, limits={...}) as server`.

    Keywords are the listener's, `models` the models' as in a configuration file; by default one `parrot`. The vendor's
    adapters run in this process, those of the rogue vendor in processes of their own.
    """
    from echelon.adapters.registry import Registry
    from echelon.adapters.settings import load
    from echelon.server.app import Server
    from echelon.server.config import ServerConfig

    @asynccontextmanager
    async def serve(
        models: list[dict[str, Any]] | None = None, *, loads: bool = True, **listener: Any
    ) -> AsyncIterator[Any]:
        if models is None:
            models = [{"name": "parrot", "adapter": "acme", "max_batch_size": 16}]
        values = {"models": models, "listener": {"listen": "127.0.0.1:0", "drain_s": 5.0, **listener}}
        server = Server(load(ServerConfig, values), Registry.installed(), trust=("acme-models",))
        await server.start()
        try:
            if loads:
                await server.load()
            yield server
        finally:
            await server.stop()

    return serve


@pytest.fixture
def processes(vendor: None) -> Iterator[Callable[..., Any]]:
    """Starts `echelon serve` in a process of its own; the process and the address it says. A long log wants a file.

    `inside` is a command that runs another one, which is then its own: in namespaces, say.
    """
    started: list[subprocess.Popen[str]] = []

    def start(
        *options: str,
        listen: str = "127.0.0.1:0",
        log: int | IO[str] = subprocess.PIPE,
        inside: Sequence[str] = (),
    ) -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "echelon.cli", "serve", "--listen", listen, "--trust", "acme-models", *options]
        process = subprocess.Popen([*inside, *command], stdout=subprocess.PIPE, stderr=log, text=True)
        started.append(process)
        assert process.stdout is not None
        said = re.search(r" on (\S+)$", process.stdout.readline())
        assert said is not None, process.communicate()[1]
        return process, said.group(1)

    yield start
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.communicate()


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a key and a certificate of that name; an authority's own, or one signed by `by`."""
    folder = tmp_path_factory.mktemp("certificates")

    def issue(name: str, by: str = "") -> Path:
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        if certificate.exists():
            return certificate
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-subj", f"/CN={name}", "-keyout", str(key), "-out", str(certificate)]
        if by:
            command += ["-CA", str(folder / f"{by}.pem"), "-CAkey", str(folder / f"{by}.key")]
            command += [
                "-addext",
                f"subjectAltName=DNS:{name},DNS:models.example,IP:127.0.0.1",
                "-addext",
                "basicConstraints=CA:FALSE",
            ]
        subprocess.run(command, check=True, capture_output=True)
        return certificate

    return issue


@pytest.fixture
def tls(authority: Callable[..., Path]) -> dict[str, str]:
    """A listener's certificate, and the key to it."""
    authority("authority")
    certificate = authority("server", by="authority")
    return {"certificate": str(certificate), "key": str(certificate.with_suffix(".key"))}
