"""Which Python an adapter's process runs, and what it sees of the server's environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import echelon.adapters
from echelon.adapters.errors import ConfigurationError

PASSED = (
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "ECHELON_CACHE",
    "HF_HOME",
    "HF_HUB_OFFLINE",
    "HOME",
    "LANG",
    "LANGUAGE",
    "LD_LIBRARY_PATH",
    "LOGNAME",
    "MKL_NUM_THREADS",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "ORT_DISABLE_TELEMETRY",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TEMP",
    "TMP",
    "TMPDIR",
    "TORCH_HOME",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
)
"""What an adapter's process may see of the server's environment: where things are, and how many threads; no secrets."""
_PASSED_PREFIX = "LC_"
_OLDEST = (3, 11)
_PROBE = """
import json, sys
from importlib.util import find_spec
def has(name):
    try:
        return find_spec(name) is not None
    except ImportError:
        return False
print(json.dumps([sys.version_info[:3], has("echelon.adapters"), has("echelon.adapters.worker")]))
"""
_PROBE_S = 30.0


def path_of(python: Path) -> Path:
    """The interpreter that `python` names: itself, or that of a virtual environment; ConfigurationError if none."""
    path = python / "bin" / "python" if python.is_dir() else python
    if not os.access(path, os.X_OK) or path.is_dir():
        raise ConfigurationError(
            f"there is no Python at {path}; `python` must be an interpreter or the folder of a virtual environment"
        )
    # Not resolved: an interpreter finds its environment by the name it was called by.
    return path.absolute()


class Interpreter:
    """A Python to run adapters in: the server's own where `python` is None."""

    def __init__(self, python: Path | None) -> None:
        self._foreign = python is not None
        self.path = Path(sys.executable) if python is None else path_of(python)
        self._lent: tempfile.TemporaryDirectory[str] | None = None

    def prepare(self) -> None:
        """Look whether it can run a worker, and lend it the SDK where it has none; ConfigurationError if it cannot."""
        if not self._foreign or self._lent is not None:
            return
        version, has_sdk, has_worker = self._probe()
        if tuple(version) < _OLDEST:
            said = ".".join(map(str, version))
            raise ConfigurationError(f"{self.path} is Python {said}; adapters need 3.11 or newer")
        if has_sdk and not has_worker:
            raise ConfigurationError(
                f"the environment of {self.path} has an echelon that is too old to run in a process of its own; "
                f"update it with: {self.path} -m pip install --upgrade echelon"
            )
        if not has_sdk:
            self._lent = _lend_sdk()

    def _probe(self) -> tuple[list[int], bool, bool]:
        command = [str(self.path), "-c", _PROBE]
        try:
            # Without our own PYTHONPATH, nor our secrets.
            run = subprocess.run(
                command, capture_output=True, timeout=_PROBE_S, env=self.environment({}), check=True, cwd="/"
            )
            version, has_sdk, has_worker = json.loads(run.stdout)
        except subprocess.TimeoutExpired as error:
            raise ConfigurationError(
                f"{self.path} does not work as a Python interpreter: no end in {_PROBE_S:g} s"
            ) from error
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            # Of what it said the last line, and not the program that it was given.
            said = (getattr(error, "stderr", None) or b"").decode("utf-8", "replace").strip().rpartition("\n")[2]
            told = said or (error if isinstance(error, OSError) else "it said nothing")
            raise ConfigurationError(f"{self.path} does not work as a Python interpreter: {told}") from error
        return version, has_sdk, has_worker

    def environment(self, asked: Mapping[str, str | None]) -> dict[str, str]:
        """The environment of a process: what is allowed of the server's own, and `asked`; None there passes it on."""
        own = os.environ
        told = {name: value for name, value in own.items() if name in PASSED or name.startswith(_PASSED_PREFIX)}
        if self._foreign:
            told["PATH"] = f"{self.path.parent}{os.pathsep}{told.get('PATH', os.defpath)}"
        elif "PYTHONPATH" in own:
            told["PYTHONPATH"] = own["PYTHONPATH"]
        if self._lent is not None:
            told["PYTHONPATH"] = self._lent.name
        missing = sorted(name for name, value in asked.items() if value is None and name not in own)
        if missing:
            raise ConfigurationError(
                f"the server's own environment, whose {', '.join(missing)} is to be passed on, has none"
            )
        told |= {name: own[name] if value is None else value for name, value in asked.items()}
        # What an adapter prints must not get lost when it crashes, nor where it did.
        return {**told, "PYTHONUNBUFFERED": "1", "PYTHONFAULTHANDLER": "1"}

    def close(self) -> None:
        """Give back what was lent."""
        if self._lent is not None:
            self._lent.cleanup()
            self._lent = None


def _lend_sdk() -> tempfile.TemporaryDirectory[str]:
    """A private folder with the SDK and nothing else of the server's packages, whose versions would be wrong there."""
    folder: tempfile.TemporaryDirectory[str] = tempfile.TemporaryDirectory(prefix="echelon-sdk-")
    (Path(folder.name) / "echelon").mkdir()
    (Path(folder.name) / "echelon" / "adapters").symlink_to(echelon.adapters.__path__[0])
    return folder
