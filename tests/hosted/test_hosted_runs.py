"""`echelon run` with a hosted model, from the command line over our server to the API: what it exits with."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

COUNT = 30
MANIFEST = """
name: parity
version: "1"
tasks:
  - {id: parity, title: Even or odd, modality: language, paradigm: language, skill: arithmetic,
     instruction: "Even or odd: {number}", output: choice, labels: [even, odd], extractor: label, metric: accuracy,
     chance: 0.5, samples: parity.jsonl}
"""


class Ended(NamedTuple):
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder with questions that are numbered from 1."""
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    lines = [
        {"id": f"{n:02}", "fields": {"number": str(n)}, "parts": [], "reference": {"kind": "choice", "labels": [word]}}
        for n in range(1, COUNT + 1)
        for word in [parity(n)]
    ]
    (folder / "parity.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@contextmanager
def served(serving: Any, models: list[dict[str, Any]]) -> Iterator[str]:
    """A server of ours on a loop of its own, as the command line has another one; its address."""
    address: Future[str] = Future()
    over = threading.Event()

    async def serve() -> None:
        async with serving(models) as server:
            address.set_result(server.listener.address)
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        yield address.result(60)
    finally:
        over.set()
        thread.join()


@pytest.fixture
def run(
    serving: Any, api: Any, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Iterator[Callable[..., Callable[..., Ended]]]:
    """Serves a hosted model; gives what runs the suite against it, to the end."""
    from echelon.cli import main

    with ExitStack() as servers:

        def serve(dialect: Any) -> Callable[..., Ended]:
            settings = dialect.settings(api.url, prices={"input": 2.0, "output": 8.0})
            model = {"name": "m", "adapter": dialect.name, "settings": settings}
            target = f"{servers.enter_context(served(serving, [model]))}/m"
            command = ["echelon", "run", str(suite), "--model", target, "--json", "--quiet", "--max-calls", "4"]
            command += ["--store", str(tmp_path / "runs")]

            def run(*more: str) -> Ended:
                monkeypatch.setattr(sys, "argv", [*command, *more])
                capsys.readouterr()
                with pytest.raises(SystemExit) as ended:
                    main()
                return Ended(int(ended.value.code or 0), *capsys.readouterr())

            return run

        yield serve


def parity(number: int) -> str:
    return "odd" if number % 2 else "even"


def number_in(asked: Any) -> int:
    found = re.search(r"Even or odd: (\d+)", asked.said)
    assert found is not None
    return int(found[1])


def right(dialect: Any, asked: Any) -> Any:
    return dialect.answer(json.dumps({"labels": [parity(number_in(asked))]}))


def asked_for(api: Any) -> Counter[int]:
    return Counter(map(number_in, api.asked))


def result_of(ended: Ended) -> Any:
    # The server's log is in this process, and goes to the same place.
    result, _ = json.JSONDecoder().raw_decode(ended.stdout[ended.stdout.index("{\n") :])
    return result


def task_of(ended: Ended) -> Any:
    return result_of(ended)["tasks"][0]


def test_overload_costs_time_and_no_answer(api: Any, run: Any, dialect: Any) -> None:
    seen, lock = Counter[int](), threading.Lock()

    def script(asked: Any) -> Any:
        with lock:
            seen[number_in(asked)] += 1
            first = seen[number_in(asked)] == 1
        busy = first and number_in(asked) % 3 == 0
        return dialect.failure(429, "rate_limit_error", retry_after_ms="20") if busy else right(dialect, asked)

    api.script = script
    ended = run(dialect)()
    assert ended.returncode == 0, ended.stderr
    assert task_of(ended)["score"] == 1.0
    assert asked_for(api) == {n: 2 if n % 3 == 0 else 1 for n in range(1, COUNT + 1)}
    (unverified,) = result_of(ended)["identity"]["unverified"]
    assert unverified.startswith("everything behind the API at 127.0.0.1:")


def test_an_api_that_stays_busy_leaves_a_run_that_resumes(api: Any, run: Any, dialect: Any) -> None:
    def busy_later(asked: Any) -> Any:
        if number_in(asked) > 20:
            return dialect.failure(429, "rate_limit_error", retry_after="0")
        return right(dialect, asked)

    api.script = busy_later
    again = run(dialect)
    stopped = again("--patience", "0.5")
    assert stopped.returncode == 4, stopped.stderr
    assert (
        "the run is incomplete: the API answered 429, rate_limit_error; the same command resumes it" in stopped.stderr
    )
    assert task_of(stopped)["score"] is None
    answered = task_of(stopped)["counts"]["answered"]
    assert 0 < answered <= 20
    paid = len([asked for asked in api.asked if number_in(asked) <= 20])
    assert paid == answered

    api.script = lambda asked: right(dialect, asked)
    api.asked.clear()
    resumed = again()
    assert resumed.returncode == 0, resumed.stderr
    assert task_of(resumed)["score"] == 1.0
    assert sum(asked_for(api).values()) == COUNT - answered


def test_what_the_model_does_wrong_counts_apart(api: Any, run: Any, dialect: Any) -> None:
    def moody(asked: Any) -> Any:
        match number_in(asked):
            case 1:
                return dialect.answer("", refusal="no") if dialect.is_openai else dialect.answer("no", "refusal")
            case 2:
                return dialect.answer("It is even.")
            case 3:
                return dialect.answer('{"labels": ["prime"]}')
            case 4:
                return dialect.failure(400, "invalid_request_error", "prompt is too long: 9 > 8")
        return right(dialect, asked)

    api.script = moody
    ended = run(dialect)()
    assert ended.returncode == 3, ended.stderr
    assert task_of(ended)["counts"] == {"answered": COUNT - 4, "refused": 2, "invalid": 2}
    assert task_of(ended)["score"] == pytest.approx((COUNT - 4) / COUNT)
    # What cannot be read is paid for all the same; a request that was not taken is not.
    used = task_of(ended)["usage"]
    assert used["calls"] == COUNT - 1
    assert (used["input_token_count"], used["output_token_count"]) == (7 * (COUNT - 1), 3 * (COUNT - 1))
    assert used["cost_usd"] == pytest.approx((7 * 2 + 3 * 8) * (COUNT - 1) / 1e6)


def test_one_request_that_the_api_does_not_take_costs_no_other_answer(api: Any, run: Any, dialect: Any) -> None:
    def picky(asked: Any) -> Any:
        return dialect.failure(400, "odd_request") if number_in(asked) == 7 else right(dialect, asked)

    api.script = picky
    again = run(dialect)
    stopped = again()
    assert stopped.returncode == 4, stopped.stderr
    assert task_of(stopped)["counts"] == {"answered": COUNT - 1, "unavailable": 1}
    api.script = lambda asked: right(dialect, asked)
    assert again().returncode == 0


def test_a_key_that_is_refused_stops_the_run_and_names_the_setting(api: Any, run: Any, dialect: Any) -> None:
    api.script = lambda asked: dialect.failure(401, "authentication_error", "sk-sesame-4711 is wrong")
    ended = run(dialect)()
    assert ended.returncode == 1
    assert "check the key, the model's setting api_key_env" in ended.stderr
    assert "sesame" not in ended.stderr + ended.stdout
    assert len(api.asked) <= 8
