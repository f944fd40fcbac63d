"""The demonstration: the built-in models, served and evaluated like anybody's, and the controls that keep it honest."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from echelon.adapters.errors import EchelonError
from echelon.adapters.worker.guarded import guarded
from echelon.clients import Target
from echelon.scorer.asking import Pace
from echelon.scorer.assessment import Assignment, carry_out
from echelon.scorer.progress import Silence
from echelon.scorer.results import RunResult, TaskSota
from echelon.scorer.sota import from_run
from echelon.scorer.store import Store
from echelon.scorer.stored import result_of
from echelon.scorer.suites.answers import write_answers
from echelon.scorer.suites.suite import StoredSuite

REFERENCE = "specialists"
_STOPS_WITHIN_S = 60


class DemoError(EchelonError):
    """The demonstration's server did not come up."""

    reason = "DEMO_FAILED"


@dataclass(frozen=True)
class Exhibit:
    """A model of the demonstration; `must` is the only level that a control may get, None for a trained model."""

    name: str
    adapter: str
    settings: Mapping[str, Any]
    about: str
    must: int | None = None


@dataclass(frozen=True)
class Shown:
    """An exhibit with its result."""

    exhibit: Exhibit
    result: RunResult

    @property
    def levels(self) -> dict[str, tuple[int, int, int]]:
        """The level in each edition: certified, by the paper's gate, and possible."""
        found = zip(self.result.levels, self.result.verdicts, strict=True)
        return {
            level.edition: (verdict.certified.level, level.level, verdict.possible.level) for level, verdict in found
        }

    @property
    def as_it_must(self) -> bool:
        """Whether a control got the verdict it must get, and nothing more was certified."""
        must = self.exhibit.must
        return must is None or all(
            certified <= must == paper <= possible for certified, paper, possible in self.levels.values()
        )


def exhibits(answers: Path) -> tuple[Exhibit, ...]:
    """The specialists first, then what is measured against them."""
    return (
        Exhibit(REFERENCE, "dispatcher", {}, "the reference run: one network a task"),
        Exhibit(
            "comprehension", "baseline", {"model": "generalist-comprehension"}, "one network for all comprehension"
        ),
        Exhibit("generation", "baseline", {"model": "generalist-generation"}, "one network for all generation"),
        Exhibit("both", "baseline", {"model": "generalist-both"}, "one network for everything, language too"),
        Exhibit("chance", "chance", {}, "control: answers at random", must=0),
        Exhibit("null", "null", {}, "control: always the same answer", must=0),
        Exhibit(
            "noisy", "dispatcher", {"noise": 0.3, "composition": "single"}, "control: specialists made worse", must=2
        ),
        Exhibit("dispatcher", "dispatcher", {}, "control: routes tasks to the specialists", must=2),
        Exhibit("oracle", "oracle", {"answers": str(answers)}, "control: knows the answers", must=5),
    )


@dataclass
class Demo:
    """One demonstration over a suite."""

    suite: StoredSuite
    store: Store
    announce: Callable[[Shown], None]
    shown: list[Shown] = field(default_factory=list)

    async def run(self) -> list[Shown]:
        """Serve, evaluate each exhibit in turn, and stop the server."""
        folder = self.store.folder / "demo"
        folder.mkdir(parents=True, exist_ok=True)
        answers = (folder / "answers.jsonl").resolve()
        write_answers(self.suite, answers)
        models = exhibits(answers)
        with _serving(models, folder) as address:
            sota: dict[str, TaskSota] | None = None
            for exhibit in models:
                result = await self._assess(address, exhibit, sota)
                if exhibit.name == REFERENCE:
                    sota = from_run(result)
                    continue
                self.shown.append(Shown(exhibit, result))
                self.announce(self.shown[-1])
        return self.shown

    async def _assess(self, address: str, exhibit: Exhibit, sota: dict[str, TaskSota] | None) -> RunResult:
        target = Target(address, exhibit.name)
        assignment = Assignment(self.suite, target, sota=sota, pace=Pace(patience_s=30))
        record, reason = await carry_out(assignment, self.store, Silence())
        if reason:
            raise DemoError(f"{exhibit.name}: {reason}")
        return result_of(self.suite, record, self.store)


@contextmanager
def _serving(models: tuple[Exhibit, ...], folder: Path) -> Iterator[str]:
    config = folder / "server.yaml"
    served = [{"name": each.name, "adapter": each.adapter, "settings": dict(each.settings)} for each in models]
    # JSON is YAML.
    config.write_text(json.dumps({"listener": {"listen": "127.0.0.1:0"}, "models": served}, indent=2))
    command = guarded("echelon.cli", "serve", "--config", str(config), "--log-level", "warning")
    log = folder / "server.log"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            start_new_session=True,
        ) as child,
    ):
        try:
            yield _address(child, log)
        finally:
            _stop(child)


def _address(child: subprocess.Popen[str], log: Path) -> str:
    """Where the server listens; it says so in its first line."""
    said = child.stdout.readline() if child.stdout is not None else ""
    address = said.rpartition(" on ")[2].strip()
    if not address:
        raise DemoError(f"the server did not start: {log.read_text()[-2000:]}")
    return address


def _stop(child: subprocess.Popen[str]) -> None:
    """SIGTERM, and patience; whoever is left ends with the pipe that is closed next."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_STOPS_WITHIN_S)
