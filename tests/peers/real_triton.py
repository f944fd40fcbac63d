"""A real Triton server for tests and benchmarks: `tritonserver` out of PyTriton's wheel, in build/triton.

The wheel holds the Python backend alone, and keeps its stub where Triton does not look for it. The stub runs the
first python3 on PATH, whose numpy must be older than 2: with a newer one every output has a shape and no bytes.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

ENVIRONMENT = Path(__file__).parents[2] / "build" / "triton"
START_S = 60.0


class RealTriton:
    """One `tritonserver` over a model repository; it can be killed and started again on the same address.

    `inside` is a command that runs another one, which is then its own: in namespaces, say.
    """

    def __init__(self, repository: Path, folder: Path, *options: str, inside: Sequence[str] = ()) -> None:
        if not (ENVIRONMENT / "bin" / "python").exists():
            raise FileNotFoundError(f"there is no Triton in {ENVIRONMENT}: run make test, which puts it there")
        self._folder = folder
        self._repository = repository
        self._options = options
        self._inside = inside
        self._ports = [_free_port() for _ in range(3)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens for gRPC."""
        return f"127.0.0.1:{self._ports[0]}"

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self._folder / "triton.log").read_text()

    def start(self, *, ready: Any = None) -> RealTriton:
        """Start it and wait until it is ready; `ready` asks in another way than over plain gRPC."""
        packages = next((ENVIRONMENT / "lib").glob("python3.*/site-packages"))
        triton = packages / "pytriton" / "tritonserver"
        version = packages.parent.name.removeprefix("python")
        backends = self._folder / "backends"
        if not backends.exists():
            shutil.copytree(triton / "backends" / "python", backends / "python")
            stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
            shutil.copy(stub, backends / "python")
        grpc_port, http_port, metrics_port = self._ports
        command = [
            *self._inside,
            str(triton / "bin" / "tritonserver"),
            f"--model-repository={self._repository}",
            f"--backend-directory={backends}",
            "--grpc-address=127.0.0.1",
            f"--grpc-port={grpc_port}",
            "--http-address=127.0.0.1",
            f"--http-port={http_port}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={metrics_port}",
            "--allow-gpu-metrics=false",
            "--exit-timeout-secs=3",
            *self._options,
        ]
        with (self._folder / "triton.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env=_environment(packages), start_new_session=True
            )
        self._wait(ready or self._answers)
        return self

    def kill(self) -> None:
        """As the machine would: at once, with all of its models' processes."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """In order."""
        if self._process is not None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(20)
            self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        import tritonclient.grpc

        with tritonclient.grpc.InferenceServerClient(self.url) as client:
            try:
                return bool(client.is_server_ready(client_timeout=2.0))
            except tritonclient.grpc.InferenceServerException:
                return False

    def _wait(self, ready: Any) -> None:
        assert self._process is not None
        limit = time.monotonic() + START_S
        while not ready():
            if self._process.poll() is not None or time.monotonic() > limit:
                self.stop()
                raise RuntimeError(f"Triton did not start:\n{self.log[-4000:]}")
            time.sleep(0.05)


def write_model(repository: Path, name: str, config: str, code: str | None = None, version: str = "1") -> None:
    """A model of a repository; `code` is its model.py for the Python backend."""
    (repository / name / version).mkdir(parents=True, exist_ok=True)
    backend = 'backend: "python"\n' if code is not None else ""
    (repository / name / "config.pbtxt").write_text(backend + config)
    if code is not None:
        (repository / name / version / "model.py").write_text(code)


def _environment(packages: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    # The stub links to the library of its own interpreter, wherever that is: the tests' may be another Python.
    interpreter = (ENVIRONMENT / "bin" / "python").resolve().parents[1]
    libraries = [packages.parents[2] / "lib", packages / "nvidia_pytriton.libs", interpreter / "lib"]
    return {
        **kept,
        "PATH": f"{ENVIRONMENT / 'bin'}:/usr/bin:/bin",
        "LD_LIBRARY_PATH": ":".join(map(str, libraries)),
    }


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
