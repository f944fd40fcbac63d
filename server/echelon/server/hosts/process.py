"""One life of an adapter's process, from its start to its end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from time import monotonic
from typing import Any, NamedTuple

from echelon.adapters import Card
from echelon.adapters.errors import AdapterCrashedError, AdapterNotFoundError, ConfigurationError
from echelon.adapters.hosting import Opened, Plan
from echelon.adapters.worker.frames import PROTOCOL, Connection, FrameError
from echelon.adapters.worker.replies import OUT_OF_MEMORY
from echelon.server.hosts.output import follow
from echelon.server.hosts.replies import LAST, Reply, Whole

_ENDS_WITHIN_S = 5.0
"""What its guardian has to end a process, before it is ended from here."""

_SIGNALS = {number.value: number.name for number in signal.Signals}


@dataclass(frozen=True)
class Start:
    """What a process is started with; times are in seconds."""

    adapter: str
    python: str
    environment: Mapping[str, str]
    plan: Plan
    limits: Mapping[str, int]
    message_bytes: int
    frame_bytes: int
    load_s: float
    stuck_s: float


class CompanyCrashedError(AdapterCrashedError):
    """The process died under several calls: who of them killed it is not known."""


class GoneError(Exception):
    """The process had ended before the call was made."""


class _Waiting(NamedTuple):
    reply: Reply
    deadline: float
    is_work: bool
    """Not a question after its health, of which nobody dies."""


class Process:
    """Starts with construction; `open` it, then `read` until it ends, in one thread; other threads make calls."""

    def __init__(self, start: Start, log: Any) -> None:
        self._start = start
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._popen = _popen(start, theirs.fileno())
        assert self._popen.stdout is not None
        self.pid = self._popen.pid
        follow(self._popen.stdout, log.bind(pid=self.pid))
        self._connection = Connection(self._socket, takes_bytes=start.frame_bytes)
        self._numbers = count(1)
        self._waiting: dict[int, _Waiting] = {}
        self._changing = threading.Lock()
        self._over = False
        self._group = 0
        self._heard = self._started = monotonic()
        self._opened = False
        self._killed = ""
        self.has_answered = False
        """Whether it has ended a call well."""

    def open(self) -> Opened:
        """Wait until the adapter is open; raises what it raised, AdapterCrashedError where the process ends instead."""
        try:
            hello = self._connection.receive().value
            self._group = self._checked_group(hello["pid"])
            if hello["protocol"] != PROTOCOL:
                raise ConfigurationError(
                    f"the echelon of {self._start.python} speaks protocol {hello['protocol']}, this server {PROTOCOL}; "
                    "install the same version there"
                )
            told = {
                "adapter": self._start.adapter,
                "plan": self._start.plan,
                "limits": dict(self._start.limits),
                "message_bytes": self._start.message_bytes,
                "frame_bytes": self._start.frame_bytes,
            }
            opened = self.converse("open", told)
        except AdapterNotFoundError as error:
            raise AdapterNotFoundError(f"{error}, where {self._start.python} looks") from error
        except (EOFError, OSError, FrameError, KeyError, TypeError) as error:
            raise AdapterCrashedError(f"the model's process {self.end(error)}") from error
        if not (isinstance(opened, Opened) and isinstance(opened.card, Card) and isinstance(opened.probes, tuple)):
            raise AdapterCrashedError(f"the model's process said {opened!r:.100} where its card should be")
        self._opened = True
        return opened

    def _checked_group(self, group: int) -> int:
        """`group`, if it is of the guardian's session: whoever says it may lie."""
        return group if os.getsid(group) == self.pid else 0

    def converse(self, word: str, value: Any) -> Any:
        """Make a call and read until it is answered; before anybody else makes one."""
        reply = Whole()
        self.begin(word, value, reply, deadline=self._started + self._start.load_s)
        while not reply.future.done():
            self._hear()
        return reply.future.result()

    def read(self) -> Exception:
        """Hand over what comes until the process ends; what ended it, for `end`."""
        try:
            while True:
                self.has_answered |= self._hear()
        # A vendor's code may have a hand in what is said here.
        except Exception as error:  # noqa: BLE001  (see above)
            return error

    def _hear(self) -> bool:
        """Take one frame; whether it ended a call well."""
        call, word, value = self._connection.receive()
        self._heard = monotonic()
        if call == 0:
            return False
        with self._changing:
            waiting = self._waiting.get(call)
        if waiting is None:
            raise FrameError(f"a frame for call {call}, which nobody waits for")
        # Until it has taken its last word it is told how the process ended: what is said may be nonsense.
        waiting.reply.take(word, value)
        if word in LAST:
            with self._changing:
                del self._waiting[call]
        return waiting.is_work and word == "done"

    def begin(self, word: str, value: Any, reply: Reply, *, deadline: float) -> int:
        """Make a call, and give it its number; GoneError where the process has ended."""
        with self._changing:
            if self._over:
                raise GoneError
            call = next(self._numbers)
            self._waiting[call] = _Waiting(reply, deadline, word != "ready")
        # A process that is gone is noticed where it is read, which ends this call too.
        with suppress(OSError):
            self._connection.send(call, word, value)
        return call

    def tell(self, call: int, word: str, value: Any = None) -> None:
        """Say something more about a call."""
        with suppress(OSError):
            self._connection.send(call, word, value)

    def fault(self) -> str:
        """Why it must be killed; empty where all is well."""
        now, stuck_s = monotonic(), self._start.stuck_s
        if now - self._heard > stuck_s:
            return f"gave no sign of life for {stuck_s:g} s"
        if not self._opened and now - self._started > self._start.load_s:
            return f"was not open within {self._start.load_s:g} s"
        with self._changing:
            late = any(now - waiting.deadline > stuck_s for waiting in self._waiting.values())
        return f"did not come back from a call {stuck_s:g} s after its deadline" if late else ""

    def kill(self, why: str) -> None:
        """Let its guardian end it and whatever it started; `why` goes on from "the process was killed: it"."""
        self._killed = self._killed or why
        self._connection.close()

    def end(self, error: Exception | None = None) -> str:
        """See to it that nothing is left, and end every call that still waits; how it ended, in words."""
        if error is not None and not isinstance(error, EOFError | OSError):
            self.kill(f"sent {error}")
        self._connection.close()
        try:
            code = self._popen.wait(_ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            code = self._end_by_force()
        self._socket.close()
        said = f"was killed: it {self._killed}" if self._killed else _ended(code)
        with self._changing:
            self._over = True
            left, self._waiting = list(self._waiting.values()), {}
        kind = AdapterCrashedError if sum(waiting.is_work for waiting in left) == 1 else CompanyCrashedError
        for waiting in left:
            waiting.reply.take("failed", kind(f"the model's process {said}", retry_after_s=1.0))
        return said

    def _end_by_force(self) -> int:
        with suppress(ProcessLookupError, PermissionError):
            if self._group:
                os.killpg(self._group, signal.SIGKILL)
        self._popen.kill()
        return self._popen.wait()


def _popen(start: Start, end: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [start.python, "-P", "-m", "echelon.adapters.worker", str(end), start.adapter],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=start.environment,
        pass_fds=(end,),
        # A Ctrl-C is for the server, which lets calls finish.
        start_new_session=True,
    )


def _ended(code: int) -> str:
    if code < 0:
        return f"was ended by {_SIGNALS.get(-code, f'signal {-code}')}"
    if code == OUT_OF_MEMORY:
        return "reached its limit of memory"
    return f"exited with code {code}"
