"""The guide for vendors, followed to the letter in an environment of its own, with Echelon's wheel in it."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "vendors.md"
PORT = "50051"
"""The guide's, which another server on this machine may hold; the only thing that is changed in its commands."""

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Shell:
    """A shell in a folder, in which the environment is active."""

    environment: Path
    folder: Path

    def start(self, command: str) -> subprocess.Popen[str]:
        """The command, begun, in a group of processes of its own."""
        path = f"{self.environment / 'bin'}{os.pathsep}{os.environ['PATH']}"
        clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        return subprocess.Popen(
            shlex.split(command),
            cwd=self.folder,
            env={**clean, "PATH": path, "ECHELON_CACHE": str(self.folder / "cache")},
            executable=self.environment / "bin" / shlex.split(command)[0],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, command: str, *, code: int = 0) -> str:
        """What the command prints; it has to end with this exit code."""
        process = self.start(command)
        output, _ = process.communicate()
        assert process.returncode == code, f"{command}\n{output}"
        return output


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Only the SDK is installed: the wheel, and what it needs."""
    folder = tmp_path_factory.mktemp("vendor")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", folder, ROOT], check=True, cwd=folder
    )
    (wheel,) = folder.glob("echelon-*.whl")
    venv.create(folder / "environment", with_pip=True)
    shell = Shell(folder / "environment", folder)
    shell.run(f"pip install -q --disable-pip-version-check {wheel}")
    return shell


@pytest.fixture(scope="module")
def whole(shell: Shell) -> Shell:
    """Everything that the guide installs first."""
    (wheel,) = shell.folder.glob("echelon-*.whl")
    (install,) = re.findall(r"^pip install 'PATH\[(\w+)\]' ", GUIDE.read_text(), re.MULTILINE)
    shell.run(f"pip install -q --disable-pip-version-check '{wheel}[{install}]'")
    return shell


def commands() -> list[str]:
    """The guide's, as they stand there."""
    block = re.search(r"<!-- begin -->\n```\n(.*?)```\n<!-- end -->", GUIDE.read_text(), re.DOTALL)
    assert block is not None
    return block.group(1).splitlines()


@pytest.fixture
def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_the_sdk_alone_begins_a_package_and_names_the_extra_that_checks_it(shell: Shell) -> None:
    written = shell.run("echelon adapters new wren --call language --async")
    assert "wrote wren/src/wren/adapter.py" in written
    told = shell.run("echelon adapters check null", code=2)
    assert re.fullmatch(r"error: \w+ is not installed; get it with: pip install 'echelon\[server\]'\n", told)
    told = shell.run("echelon adapters check 127.0.0.1:9/null", code=2)
    assert re.fullmatch(r"error: \w+ is not installed; get it with: pip install 'echelon\[client,media\]'\n", told)


def test_the_guide_leads_to_a_level(whole: Shell, free_port: str) -> None:
    new, install, check, serve, run = (command.replace(PORT, free_port) for command in commands())
    assert serve.endswith(" &")
    whole.run(new)
    whole.run(install)
    assert ", 0 failed, " in whole.run(check)
    with serving(whole, f"{serve.removesuffix(' &')} --listen 127.0.0.1:{free_port}"):
        told = whole.run(run, code=0)
    assert re.search(r"^Level 1 certified on starter@\w+, edition 2025", told, re.MULTILINE), told


@contextmanager
def serving(shell: Shell, command: str) -> Iterator[None]:
    """The server, from its first word to its end."""
    process = shell.start(command)
    assert process.stdout is not None
    try:
        assert any(line.startswith("serving ") for line in process.stdout), "the server ended before it served"
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("name", "options"),
    [("robin", "--call comprehend --call generate --call language"), ("blue-martin", "--async --call language")],
)
def test_an_untouched_package_passes_its_own_checks(whole: Shell, name: str, options: str) -> None:
    whole.run(f"echelon adapters new {name} {options}")
    whole.run(f"pip install -q --disable-pip-version-check -e '{name}[dev]'")
    inside = Shell(whole.environment, whole.folder / name)
    assert " passed" in inside.run("pytest -q -W error")
    assert inside.run("mypy").startswith("Success")
    inside.run("ruff check .")
    inside.run("ruff format --check .")
