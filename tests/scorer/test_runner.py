"""Runs against real servers in this process: what is asked, how often, how much at once, and what it ends in."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from echelon.adapters import Request, Text
from echelon.adapters.calls import Call
from echelon.adapters.errors import ConfigurationError, ModelNotReadyError, UnreachableError
from echelon.adapters.registry import Registry
from echelon.adapters.settings import load
from echelon.clients import AsyncClient, Target
from echelon.scorer.asking import Pace
from echelon.scorer.assessment import Assignment, carry_out
from echelon.scorer.concurrency import Window
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.progress import Silence
from echelon.scorer.store import RunRecord, Store
from echelon.scorer.suites.folder import FolderSuite
from echelon.server.app import Server
from echelon.server.config import ServerConfig

Serving: TypeAlias = Callable[..., Any]
Asks: TypeAlias = Callable[..., Any]

MANIFEST = """
name: sayings
version: "1"
tasks:
  - {id: say, title: Say, modality: language, paradigm: language, skill: saying, instruction: "{say}", output: text,
     extractor: text, metric: anls, chance: 0.0, samples: say.jsonl}
"""

MORTAL = '''
import asyncio
from echelon.adapters import Answer, AsyncAdapter, Call, CallSupport, Card, Kind, Text, Usage
from echelon.adapters.errors import AdapterCrashedError, BackendError, InvalidInputError

class Mortal(AsyncAdapter):
    """Dies of poison, and all calls that are under way die with it."""

    def open(self, settings):
        self.death = asyncio.Event()

    def card(self):
        return Card("1", (CallSupport(Call.LANGUAGE, (Kind.TEXT,), (Kind.TEXT,)),))

    async def language(self, request):
        if request.instruction == "nonsense":
            raise InvalidInputError("instruction: makes no sense")
        death = self.death
        if request.instruction == "poison":
            await asyncio.sleep(0.01)
            death.set()
            self.death = asyncio.Event()
        try:
            await asyncio.wait_for(death.wait(), 0.02)
        except TimeoutError:
            return Answer((Text(request.instruction),))
        raise AdapterCrashedError("the model's process died")

class Wasteful(Mortal):
    """Throws the first two answers to each request away, and everything that it writes for nobody."""

    def open(self, settings):
        self.tries = {}

    async def language(self, request):
        usage = Usage(4, 1, cost_nano_usd=250)
        await asyncio.sleep(0.006)
        self.tries[request.id] = tries = self.tries.get(request.id, 0) + 1
        if tries < 3 or request.instruction == "in vain":
            raise BackendError("the answer broke off", usage=usage)
        return Answer((Text(request.instruction),), usage=usage)
'''


def make_suite(folder: Path, says: list[str]) -> FolderSuite:
    """One task; each sample's instruction is one of `says`."""
    folder.mkdir(parents=True)
    (folder / "suite.yaml").write_text(MANIFEST)
    text = {"kind": "text", "value": "yes"}
    lines = [{"id": f"{n:03}", "fields": {"say": say}, "parts": [], "reference": text} for n, say in enumerate(says)]
    (folder / "say.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return FolderSuite(folder)


class Run:
    """One run of `says`, in a store of its own."""

    def __init__(self, folder: Path, says: list[str]) -> None:
        self.suite = make_suite(folder / "suite", says)
        self.store = Store(folder / "runs", write=True)
        self.record: RunRecord | None = None

    async def carry_out(self, address: str, model: str = "parrot", **pace: Any) -> str:
        """Ask; why it is incomplete, empty when it is not."""
        assignment = Assignment(self.suite, Target(address, model), pace=Pace(**{"patience_s": 20, **pace}))
        self.record, reason = await carry_out(assignment, self.store, Silence())
        return reason

    def outcomes(self) -> list[SampleOutcome]:
        assert self.record is not None
        ids = self.suite.sample_ids(self.suite.tasks[0])
        return [found for found in self.store.outcomes(self.record.run, "say", ids) if found]

    def states(self) -> Counter[str]:
        return Counter(outcome.state for outcome in self.outcomes())


@pytest.fixture
def new_run(tmp_path: Path) -> Any:
    """Makes runs, and closes their stores."""
    made: list[Run] = []

    def make(says: list[str], name: str = "one") -> Run:
        made.append(Run(tmp_path / name, says))
        return made[-1]

    yield make
    for run in made:
        run.store.close()


@asynccontextmanager
async def mortal(folder: Path) -> AsyncIterator[str]:
    """Serves a model that dies of poison, and one that wastes its answers; their address."""
    (folder / "mortal.py").write_text(MORTAL)
    classes = {"mortal": "Mortal", "wasteful": "Wasteful"}
    registry = Registry([EntryPoint(name, f"mortal:{each}", "echelon.adapters") for name, each in classes.items()])
    values = {
        "models": [{"name": name, "adapter": name, "isolation": "inproc"} for name in classes],
        "listener": {"listen": "127.0.0.1:0"},
    }
    server = Server(load(ServerConfig, values), registry)
    await server.start()
    try:
        await server.load()
        yield server.listener.address
    finally:
        await server.stop()
        sys.modules.pop("mortal", None)


async def test_each_way_to_fail_a_sample_is_a_state_of_its_own(serving: Serving, new_run: Asks) -> None:
    run = new_run(["fine", "refuse", "unable", "none", "raise", "fine too"])
    async with serving() as server:
        assert await run.carry_out(server.listener.address) == ""
    told = [(outcome.state, outcome.reason) for outcome in run.outcomes()]
    assert told == [
        (State.ANSWERED, ""),
        (State.REFUSED, "REFUSED"),
        (State.REFUSED, "CAPABILITY_UNSUPPORTED"),
        (State.INVALID, "OUTPUT_INVALID"),
        (State.CRASHED, "ADAPTER_EXCEPTION"),
        (State.ANSWERED, ""),
    ]


async def test_a_backend_that_fails_leaves_its_sample_unanswered_and_says_so(serving: Serving, new_run: Asks) -> None:
    run = new_run(["fine", "backend", "fine too"])
    async with serving() as server:
        reason = await run.carry_out(server.listener.address)
    assert reason == "the run is incomplete: the GPU is gone; the same command resumes it"
    assert [outcome.sample for outcome in run.outcomes()] == ["000", "002"]
    assert [attempt.reason for attempt in run.store.attempts(run.record.run)] == ["BACKEND_UNAVAILABLE"]


async def test_poison_crashes_alone_although_it_takes_its_neighbours_along(
    tmp_path: Path, new_run: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    says = ["poison" if n % 10 == 3 else "fine" for n in range(30)]
    run = new_run(says)
    async with mortal(tmp_path) as address:
        assert await run.carry_out(address, "mortal") == ""
    crashed = [outcome.sample for outcome in run.outcomes() if outcome.state is State.CRASHED]
    assert crashed == ["003", "013", "023"]
    assert run.states() == {State.ANSWERED: 27, State.CRASHED: 3}


async def test_every_try_that_was_paid_for_counts_whether_an_outcome_came_of_it_or_not(
    tmp_path: Path, new_run: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    run = new_run(["fine", "in vain", "fine too"])
    async with mortal(tmp_path) as address:
        assert "the answer broke off" in await run.carry_out(address, "wasteful")
    assert [outcome.sample for outcome in run.outcomes()] == ["000", "002"]
    # Three tries at each of two samples, and four at the one that is left.
    used = run.store.usage(run.record.run)["say"]
    assert (used.calls, used.samples) == (10, 3)
    assert (used.usage.input_token_count, used.usage.output_token_count, used.usage.cost_nano_usd) == (40, 10, 2500)
    assert used.usage.compute_us >= 10 * 5000
    # What was noted of each sample once is told of once.
    assert len(run.store.attempts(run.record.run)) == 3


async def test_a_request_that_the_model_calls_invalid_stops_the_run_and_names_the_sample(
    tmp_path: Path, new_run: Asks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    run = new_run(["fine", "nonsense"])
    async with mortal(tmp_path) as address:
        with pytest.raises(ConfigurationError, match="task say, sample 001: instruction: makes no sense"):
            await run.carry_out(address, "mortal")


async def test_a_server_with_little_room_is_pressed_less_and_answers_everything(
    serving: Serving, new_run: Asks
) -> None:
    run = new_run(["fine"] * 150)
    model = {"name": "slow", "adapter": "acme-slow", "settings": {"batch_s": 0.005}, "max_batch_size": 4}
    async with serving([model], limits={"calls": 8}) as server:
        assert await run.carry_out(server.listener.address, "slow") == ""
    assert run.states() == {State.ANSWERED: 150}
    assert run.store.attempts(run.record.run) == []


async def test_a_slow_model_is_asked_less_at_once_instead_of_timing_out(serving: Serving, new_run: Asks) -> None:
    run = new_run(["fine"] * 40)
    model = {"name": "slow", "adapter": "acme-slow", "settings": {"item_s": 0.04}, "max_batch_size": 1}
    async with serving([model]) as server:
        assert await run.carry_out(server.listener.address, "slow", timeout_s=0.4) == ""
    assert run.states() == {State.ANSWERED: 40}


async def test_patience_ends_the_wait_for_a_server_that_never_comes(new_run: Asks) -> None:
    run = new_run(["fine"])
    with pytest.raises(UnreachableError):
        await run.carry_out("127.0.0.1:1", patience_s=0.2)


async def test_a_model_that_failed_to_load_is_not_waited_for(serving: Serving, new_run: Asks) -> None:
    run = new_run(["fine"])
    async with serving([{"name": "closed", "adapter": "acme-closed"}]) as server:
        with pytest.raises(ModelNotReadyError, match="model 'closed' is failed; the server's log says why"):
            await run.carry_out(server.listener.address, "closed")


async def test_a_model_that_still_loads_is_waited_for(serving: Serving, new_run: Asks, tmp_path: Path) -> None:
    run, door = new_run(["fine"]), tmp_path / "door"
    model = {"name": "parrot", "adapter": "acme", "settings": {"opens_when": str(door)}, "max_batch_size": 1}
    async with serving([model], loads=False) as server:
        loading = asyncio.create_task(server.load())
        running = asyncio.create_task(run.carry_out(server.listener.address))
        await asyncio.sleep(0.1)
        assert not running.done()
        door.touch()
        assert await running == ""
        await loading


async def test_a_server_that_goes_away_for_good_leaves_what_was_answered_and_a_reason(
    serving: Serving, new_run: Asks, tmp_path: Path, until: Any
) -> None:
    run, gate = new_run(["fine"] * 20 + ["wait"] * 5), tmp_path / "gate"
    model = {"name": "parrot", "adapter": "acme", "settings": {"gate": str(gate)}, "max_batch_size": 1}
    async with serving([model], drain_s=0.1) as server:
        running = asyncio.create_task(run.carry_out(server.listener.address, patience_s=0.3, most_calls=4))
        await until(
            lambda: (
                run.store.runs()
                and run.store.counts(run.store.run("last").run).get("say", {}).get(State.ANSWERED) == 20
            )
        )
        stopping = asyncio.create_task(server.listener.stop())
        await stopping
        gate.touch()
    reason = await running
    assert reason.startswith("the run is incomplete: ")
    assert run.states()[State.ANSWERED] >= 20


async def test_two_stores_never_share_an_answer(serving: Serving, new_run: Asks) -> None:
    says = [f"fine {n}" for n in range(12)]
    async with serving() as server:
        for name in ("one", "two"):
            assert await new_run(says, name).carry_out(server.listener.address) == ""
        async with AsyncClient(server.listener.address) as client:
            diary = await client.ask("parrot", Request(Call.COMPREHEND, "diary"))
    (written,) = diary.parts  # type: ignore[union-attr]  # parrots answer
    assert isinstance(written, Text)
    asked = Counter(say for batch in json.loads(written.value) for say in batch)
    assert {say: asked[say] for say in says} == dict.fromkeys(says, 2)


async def test_what_is_done_is_not_asked_again(serving: Serving, new_run: Asks) -> None:
    run = new_run(["fine", "backend"])
    async with serving() as server:
        await run.carry_out(server.listener.address)
        first = run.record
        await run.carry_out(server.listener.address)
    assert run.record == first
    assert run.store.counts(first.run) == {"say": {State.ANSWERED: 1}}
    assert {attempt.sample for attempt in run.store.attempts(first.run)} == {"001"}


def test_skipped_samples_are_not_even_read(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", ["fine", "fine"])
    lines = [json.loads(line) for line in (suite.path / "say.jsonl").read_text().splitlines()]
    lines[0]["parts"] = [{"kind": "image", "path": "missing.png"}]
    (suite.path / "say.jsonl").write_text("\n".join(map(json.dumps, lines)))
    (task,) = suite.tasks
    assert [sample.id for sample in suite.samples(task, skip={"000"})] == ["001"]


async def test_the_window_doubles_until_it_first_shrinks_and_then_grows_slowly() -> None:
    window = Window(most_calls=100, most_bytes=1000, first_calls=4)
    for _ in range(4):
        window.grow()
    assert window.limit == 8
    async with window.turn() as since:
        window.shrink(since)
        window.shrink(since)
    assert window.limit == 4
    for _ in range(4):
        window.grow()
    assert 4.9 < window.limit < 5
    for _ in range(100_000):
        window.grow()
    assert window.limit == 100


async def test_the_window_never_shrinks_below_one_and_always_lets_one_sample_in() -> None:
    window = Window(most_calls=4, most_bytes=10)
    for _ in range(10):
        async with window.turn() as since:
            window.shrink(since)
    assert window.limit == 1
    async with asyncio.timeout(5):
        await window.enter(1_000_000)
        async with window.turn():
            assert window.calls == 1


async def test_whoever_waits_for_the_window_is_never_forgotten() -> None:
    window, most = Window(most_calls=3, most_bytes=1 << 20), 0

    async def sample(number: int) -> None:
        nonlocal most
        await window.enter(1)
        try:
            async with window.turn(alone=number % 7 == 0) as since:
                most = max(most, window.calls)
                assert number % 7 or window.calls == 1
                await asyncio.sleep(0.001)
                if number % 5 == 0:
                    window.shrink(since)
                else:
                    window.grow()
        finally:
            window.leave(1)

    async with asyncio.timeout(20):
        tasks = [asyncio.create_task(sample(number)) for number in range(200)]
        await asyncio.sleep(0.02)
        for task in tasks[::9]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert (window.samples, window.calls, window.bytes) == (0, 0, 0)
    assert most == 3
