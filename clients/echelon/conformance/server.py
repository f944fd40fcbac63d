"""A model server in a process of its own, with one adapter in it."""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any, Self

from echelon.adapters.errors import ConfigurationError
from echelon.adapters.registry import Registry
from echelon.adapters.worker.guarded import guarded
from echelon.conformance.plan import Conformance

MODEL = "checked"
BATCH_SIZE = 8
"""Calls of one batch at most, so that batches are seen whether they pay or not."""
DELAY_MS = 2.0
"""For which a call waits for others, so that those which come together make a batch on any machine."""
DRAIN_S = 10.0
STOPS_WITHIN_S = 25.0
"""From SIGTERM to the end: what the server allows calls and the adapter's close, and a little more."""
_LOADS_WITHIN_S = 1800.0
_REMEMBERED_CALLS = 16
"""Outcomes that the server keeps for retries; more would look like a leak of the model's."""
_READY = re.compile(r"^serving (.*) on (\S+)$", re.MULTILINE)
"""What the server says; behind the model's name may stand how it is isolated."""


class AdapterServer:
    """Starts `echelon serve` with the adapter, and again after its end; it ends with this process, killed or not."""

    def __init__(self, conformance: Conformance) -> None:
        """ConfigurationError where no such adapter is installed; nothing of it is imported here."""
        self.entry = Registry.installed().get(conformance.target)
        self._folder = tempfile.TemporaryDirectory(prefix="echelon-conformance-")
        self._log = Path(self._folder.name) / "server.log"
        self._config = Path(self._folder.name) / "server.yaml"
        # JSON is YAML.
        self._config.write_text(json.dumps(_config(conformance), default=str), encoding="utf-8")
        self._process: Process | None = None
        self._starts = 0
        self.address = ""

    @property
    def is_running(self) -> bool:
        """Whether it is there to be asked."""
        return self._process is not None and self._process.returncode is None

    @property
    def process_id(self) -> int:
        """Of the process that holds the model, or whose children do."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> Self:
        """Wait until the model is loaded; ConfigurationError says why it is not."""
        self._starts += 1
        said = Path(self._folder.name) / f"said-{self._starts}"
        with said.open("wb") as out, self._log.open("ab") as log:
            command = guarded("echelon.cli", "serve", "--config", str(self._config))
            self._process = await create_subprocess_exec(
                *command, stdin=PIPE, stdout=out, stderr=log, start_new_session=True
            )
        self.address = await self._ready(said)
        return self

    async def stop(self) -> int | None:
        """SIGTERM; the exit code, None where the process had to be killed."""
        process = self._process
        if process is None:
            return None
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOPS_WITHIN_S):
                return await process.wait()
        except TimeoutError:
            assert process.stdin is not None
            process.stdin.close()
            await process.wait()
            return None

    async def ended(self, *, within_s: float = 1.0) -> int | None:
        """The exit code of a process that ends within that time, None for one that goes on."""
        assert self._process is not None
        try:
            async with asyncio.timeout(within_s):
                return await self._process.wait()
        except TimeoutError:
            return None

    def close(self) -> None:
        """Remove its files."""
        self._folder.cleanup()

    def exception(self, incident: str) -> str:
        """What the adapter raised under an incident id, and where; empty where the log has nothing of it."""
        for line in self._lines():
            if line.get("incident") == incident:
                return _last_words(str(line.get("exception", "")))
        return ""

    def _lines(self) -> Iterator[dict[str, Any]]:
        for line in _text(self._log).splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found

    async def _ready(self, said: Path) -> str:
        until = monotonic() + _LOADS_WITHIN_S
        # A file, not a pipe: nobody goes on to read what the adapter prints.
        while not (ready := _READY.search(_text(said))):
            if not self.is_running or monotonic() > until:
                raise ConfigurationError(f"the adapter could not be served: {self._trouble()}")
            await asyncio.sleep(0.02)
        if ready.group(1).partition(" ")[0] != MODEL:
            await self.stop()
            raise ConfigurationError(f"the adapter did not load: {self._trouble()}")
        return ready.group(2)

    def _trouble(self) -> str:
        text = _text(self._log)
        told = re.search(rf"^(?:error: |model {MODEL} failed to load: )(.*)", text, re.MULTILINE)
        if told is None:
            return text[-500:] or "the process said nothing"
        places = (_last_words(line["exception"]) for line in self._lines() if "exception" in line)
        return next((place for place in places if place.startswith(told.group(1))), told.group(1))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _config(conformance: Conformance) -> dict[str, Any]:
    settings = conformance.settings
    batches = {"max_batch_size": BATCH_SIZE, "max_delay_ms": DELAY_MS}
    model: dict[str, Any] = {"name": MODEL, "adapter": conformance.target, **batches}
    if isinstance(settings, Path):
        model["settings_file"] = str(settings.absolute())
    elif settings is not None:
        model |= {"settings": dict(settings), "folder": str(Path.cwd())}
    if conformance.isolation is not None:
        model["isolation"] = conformance.isolation
    limits = {"remembered_calls": _REMEMBERED_CALLS}
    return {"listener": {"listen": "127.0.0.1:0", "drain_s": DRAIN_S, "limits": limits}, "models": [model]}


def _last_words(trace: str) -> str:
    """The end of a traceback in one line: what was raised, and the last place."""
    places = re.findall(r'^  File "(.*)", line (\d+), in (.*)$', trace, re.MULTILINE)
    last = trace.strip().rpartition("\n")[2]
    if not places:
        return last
    file, line, function = places[-1]
    return f"{last} (in {function}, {Path(file).name}:{line})"
