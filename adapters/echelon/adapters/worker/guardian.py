"""Nothing that is started here outlives its parent: an adapter's process its server, and a server its command.

The process that the parent starts splits in two. The *guardian* does nothing but wait; the *worker* does the work, as
the leader of a process group. When the worker ends, or the parent closes its end of the lifeline, killed or not, the
guardian ends the group and every process that left it. Should the guardian itself be killed, the kernel kills the
worker; SIGTERM, which asks for an end in good order, it hands on.
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_ON_LINUX = sys.platform == "linux"


def split(lifeline: int) -> None:
    """Go on as the worker; the guardian, which stays behind, lives as long as worker and `lifeline` do."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    guardian = os.getpid()
    child = os.fork()
    if child:
        _guard(child, lifeline)
    os.setpgid(0, 0)
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # No program with a set-user-ID bit makes more of it than the parent is.
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    if os.getppid() != guardian:
        os._exit(1)


def _guard(worker: int, lifeline: int) -> NoReturn:
    # The end of a worker that crashed is told below, and once is enough.
    faulthandler.disable()
    # Processes that leave the group become the guardian's when their parents end.
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    with suppress(PermissionError, ProcessLookupError):
        os.setpgid(worker, worker)
    ended = _wait(worker, lifeline)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(ProcessLookupError):
        os.killpg(worker, signal.SIGKILL)
    status = _reap(worker)
    if ended and os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF if ended else 0)


def _wait(worker: int, lifeline: int) -> bool:
    """Until either ends; whether it was the worker."""
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    # Until it is reaped, which is later, the number is the worker's.
    signal.signal(signal.SIGTERM, lambda number, frame: os.kill(worker, number))
    poll = select.poll()
    poll.register(told, select.POLLIN)
    # Nothing but the end of the other side, which cannot be left out.
    poll.register(lifeline, 0)
    while True:
        # A zombie keeps its number, and the group's, from being given away.
        if os.waitid(os.P_PID, worker, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None:
            return True
        for end, _ in poll.poll():
            if end == lifeline:
                return False
            os.read(told, 512)


def _reap(worker: int) -> int:
    """Kill and await all that is left; the worker's wait status."""
    status = 0
    while True:
        for child in _children():
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        try:
            child, said = os.waitpid(-1, 0)
        except ChildProcessError:
            return status
        if child == worker:
            status = said


def _children() -> list[int]:
    """This process's own and adopted children, where the kernel tells them."""
    try:
        return [int(child) for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]
    except OSError:
        return []


def _prctl(option: int, value: int) -> None:
    if _ON_LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
