"""Programs that end with whoever started them: in good order when asked to, at once where nobody is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from echelon.adapters.worker.guarded import guarded

PROGRAM = """
import os, signal, subprocess, sys, time

def stopped(number, frame):
    print("stopped in good order", flush=True)
    sys.exit(7)

signal.signal(signal.SIGTERM, stopped)
stray = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(os.getpid(), stray.pid, sys.argv[1:], repr(sys.stdin.read()), flush=True)
if sys.argv[1] == "exits":
    sys.exit(5)
if sys.argv[1] == "crashes":
    os.kill(os.getpid(), signal.SIGSEGV)
time.sleep(600)
"""
PARENT = """
import subprocess, sys, time
from echelon.adapters.worker.guarded import guarded

child = subprocess.Popen(guarded("program", "waits"), stdin=subprocess.PIPE, start_new_session=True)
time.sleep(600)
"""


def is_alive(pid: int) -> bool:
    try:
        # A zombie is nobody's orphan: it only waits to be counted.
        return " Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:2]
    except FileNotFoundError:
        return False


def expect_gone(*pids: int) -> None:
    until = time.monotonic() + 20
    while any(map(is_alive, pids)) and time.monotonic() < until:
        time.sleep(0.02)
    assert [pid for pid in pids if is_alive(pid)] == []


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command that finds the program; what is left of it is killed in the end."""
    (tmp_path / "program.py").write_text(PROGRAM)
    started: list[subprocess.Popen[str]] = []

    def begin(*command: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, start_new_session=True)
        )
        return started[-1]

    yield begin
    for process in started:
        with process:
            process.kill()


def said(process: subprocess.Popen[str]) -> tuple[int, int, str]:
    """The program's number, that of the process that it has started in a session of its own, and what else it said."""
    assert process.stdout is not None
    program, stray, rest = process.stdout.readline().split(maxsplit=2)
    return int(program), int(stray), rest.strip()


def test_a_program_gets_its_arguments_no_input_and_its_own_exit_code(start: Start) -> None:
    process = start(*guarded("program", "exits", "--loud"))
    program, stray, rest = said(process)
    assert rest == "['exits', '--loud'] ''"
    assert process.wait(20) == 5
    expect_gone(program, stray)


def test_a_program_that_crashes_is_told_by_its_signal(start: Start) -> None:
    process = start(*guarded("program", "crashes"))
    _, stray, _ = said(process)
    assert process.wait(20) == -signal.SIGSEGV
    expect_gone(stray)


def test_sigterm_gets_to_the_program_which_ends_in_good_order(start: Start) -> None:
    process = start(*guarded("program", "waits"))
    program, stray, _ = said(process)
    assert process.pid != program
    process.terminate()
    assert process.stdout is not None
    assert process.stdout.read() == "stopped in good order\n"
    assert process.wait(20) == 7
    expect_gone(program, stray)


def test_a_closed_pipe_ends_the_program_and_all_it_has_started(start: Start) -> None:
    process = start(*guarded("program", "waits"))
    program, stray, _ = said(process)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(20) == 0
    expect_gone(program, stray)


def test_a_parent_that_is_killed_leaves_nothing(start: Start) -> None:
    parent = start(sys.executable, "-c", PARENT)
    program, stray, _ = said(parent)
    parent.kill()
    expect_gone(program, stray)
