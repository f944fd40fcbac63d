"""What an adapter may do to its process, by name."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .lies import LIES

LEAKED: list[bytearray] = []


def segfault() -> None:
    ctypes.string_at(0)


def hold_the_gil() -> None:
    ctypes.PyDLL(None).pause()


def hang() -> None:
    time.sleep(3600)


def nap() -> None:
    time.sleep(0.5)


def nap_with_the_gil() -> None:
    ctypes.PyDLL(None).usleep(500_000)


def spin() -> None:
    while True:
        pass


def leak() -> str:
    LEAKED.extend(bytearray(b"x" * (8 << 20)) for _ in range(10))
    return f"{len(LEAKED)} blocks"


def gorge() -> None:
    while True:
        leak()


def print_megabytes() -> str:
    for number in range(20_000):
        sys.stdout.write(f"{number} {'out' * 60}\n")
        sys.stderr.write("err" * 60 + "\r")
    os.write(1, b"\xff\xfe no text at all\n" + b"and no end of line " * 100_000)
    return "printed"


def fork() -> str:
    child = os.fork()
    if child == 0:
        time.sleep(3600)
        os._exit(0)
    return str(child)


def fork_away() -> str:
    """A process that leaves its group and its session, and the pipes open."""
    told, tell = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if child := os.fork():
            os.write(tell, str(child).encode())
            os._exit(0)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        time.sleep(3600)
        os._exit(0)
    return os.read(told, 100).decode()


def exit_in_a_thread() -> str:
    thread = threading.Thread(target=lambda: sys.exit(3))
    thread.start()
    thread.join()
    return "still here"


def spoil_the_output() -> str:
    """Close what everybody believes to be open."""
    for number in (0, 1, 2):
        os.close(number)
    return "closed"


def numpy_version() -> str:
    import numpy as np

    return np.__version__


def open_files() -> str:
    links = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            links[link.name] = str(link.readlink())
        except OSError:
            continue
    return json.dumps(links)


DEEDS: dict[str, Callable[[], str | None]] = {
    **LIES,
    "segfault": segfault,
    "hold the GIL": hold_the_gil,
    "hang": hang,
    "nap": nap,
    "nap with the GIL": nap_with_the_gil,
    "spin": spin,
    "leak": leak,
    "gorge": gorge,
    "print": print_megabytes,
    "fork": fork,
    "fork away": fork_away,
    "sys.exit": lambda: sys.exit(7),
    "os._exit": lambda: os._exit(7),
    "os._exit(0)": lambda: os._exit(0),
    "abort": os.abort,
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "exit in a thread": exit_in_a_thread,
    "close output": spoil_the_output,
    "pid": lambda: f"{os.getpid()} {os.getppid()}",
    "environment": lambda: json.dumps(dict(os.environ)),
    "files": open_files,
    "numpy": numpy_version,
    "python": lambda: sys.executable,
    "sdk": lambda: sys.modules["echelon.adapters"].__file__,
}


def do(instruction: str) -> str:
    """The deed of that name, or the instruction back."""
    deed = DEEDS.get(instruction)
    return instruction if deed is None else deed() or "done"
