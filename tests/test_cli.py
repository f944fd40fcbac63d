"""The `echelon` command itself: what it loads, and what it says of what it cannot load."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from echelon.cli import echelon


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "echelon.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; sys.argv = ['echelon', '--help']\n"
        "from echelon.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'grpc', 'numpy', 'google', 'scipy', 'PIL', 'sqlalchemy', 'asyncio'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stderr == "[]\n"
    assert "serve" in told.stdout


def test_every_command_of_ours_has_its_line_in_the_help() -> None:
    listed = CliRunner().invoke(echelon, ["--help"]).output
    assert "from another package" not in listed
    for name in ("adapters", "demo", "models", "report", "run", "runs", "serve", "suites"):
        assert f"\n  {name} " in listed


def test_every_command_of_ours_loads() -> None:
    names = echelon.commands or echelon.list_commands(None)  # type: ignore[arg-type]  # ours needs no context
    for name in names:
        shown = CliRunner().invoke(echelon, [name, "--help"])
        assert shown.exit_code == 0, name
        assert "cannot be used" not in shown.output, name


@pytest.mark.parametrize("group", ["adapters", "runs", "suites"])
def test_every_line_of_a_groups_help_is_a_whole_sentence(group: str) -> None:
    listed = CliRunner().invoke(echelon, [group, "--help"]).output.partition("Commands:\n")[2]
    assert listed
    assert all(line.endswith(".") and not line.endswith("...") for line in listed.splitlines())


def test_a_command_of_another_package_runs_beside_ours(vendor: None) -> None:
    assert run("acme").stdout == "hello from acme\n"
    assert "from another package" in run("--help").stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("acme-broken", "acme.raises:command failed to import: no licence found"),
        ("acme-odd", "acme.parrot:Parrot is no click command"),
    ],
)
def test_a_broken_command_says_so_and_stops_no_other(vendor: None, name: str, words: str) -> None:
    broken = run(name, "--some", "option")
    assert broken.returncode == 1
    assert broken.stderr == f"Error: the command '{name}' cannot be used: {words}\n"
    assert run("acme").returncode == 0


def test_a_typo_is_told_with_the_nearest_name() -> None:
    typo = run("serv")
    assert typo.returncode == 2
    assert "no command 'serv' (did you mean 'serve'?)" in typo.stderr


def test_ctrl_c_is_told_in_a_word_and_as_shells_expect() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        host, port = silent.getsockname()
        command = [sys.executable, "-m", "echelon.cli", "models", f"{host}:{port}"]
        asking = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            asking.send_signal(signal.SIGINT)
            told, trouble = asking.communicate(timeout=60)
    assert (asking.returncode, told, trouble) == (130, "", "interrupted\n")


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert version("echelon") in run("--version").stdout


def test_an_error_of_ours_is_one_line() -> None:
    failed = run("models", "127.0.0.1:9")
    assert failed.returncode == 1
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
