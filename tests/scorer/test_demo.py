"""The demonstration, as `make demo` runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Demo: TypeAlias = tuple[dict[str, Any], Path]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """What `echelon demo --json` says, and the folder of its runs."""
    folder = tmp_path_factory.mktemp("demo")
    run = subprocess.run(
        [sys.executable, "-m", "echelon.cli", "demo", "--json", "--store", folder / "runs"],
        capture_output=True,
        text=True,
        env={**os.environ, "ECHELON_CACHE": str(folder / "cache")},
        timeout=110,
    )
    assert run.returncode == 0, run.stderr
    return {shown["model"]["name"]: shown for shown in json.loads(run.stdout)}, folder


def levels(shown: Any) -> dict[str, int]:
    return {level["edition"]: level["level"] for level in shown["levels"]}


@pytest.mark.parametrize(
    ("control", "must"), [("chance", 0), ("null", 0), ("noisy", 2), ("dispatcher", 2), ("oracle", 5)]
)
def test_each_control_gets_the_verdict_it_must(demo: Demo, control: str, must: int) -> None:
    assert levels(demo[0][control]) == {"2024": must, "2025": must}


def test_nothing_is_certified_that_a_control_does_not_have(demo: Demo) -> None:
    for control, most in (("chance", 0), ("null", 0), ("noisy", 2), ("dispatcher", 2)):
        for level in demo[0][control]["levels"]:
            assert level["certified"]["level"] <= most
            assert level["possible"]["level"] >= level["level"]
    assert [level["certified"]["level"] for level in demo[0]["oracle"]["levels"]] == [5, 5]


def test_a_dispatcher_ties_with_its_own_specialists_everywhere_and_that_is_no_synergy(demo: Demo) -> None:
    dispatcher = demo[0]["dispatcher"]
    assert all(task["score"] == task["sota"]["score"] for task in dispatcher["tasks"])
    # Reached is a sota only by who is above chance, which two specialists are not beyond doubt on 50 samples.
    assert all(task["won"] is task["above_chance"] for task in dispatcher["tasks"])
    assert sum(task["won"] for task in dispatcher["tasks"]) >= 14
    assert not any(level["synergy_counts"] for level in dispatcher["levels"])


def test_an_oracle_scores_100_on_every_task(demo: Demo) -> None:
    for task in demo[0]["oracle"]["tasks"]:
        assert task["sigmas"]["2025"] == pytest.approx(100.0), task["id"]


def test_generalists_answer_what_they_were_trained_for_and_say_what_they_do_not_support(demo: Demo) -> None:
    for name, paradigms in (("comprehension", {"comprehension"}), ("generation", {"generation"})):
        for task in demo[0][name]["tasks"]:
            state = "answered" if task["paradigm"] in paradigms else "unsupported"
            assert task["counts"] == {state: 50}, (name, task["id"])


def test_every_trained_model_is_above_chance_on_tasks_of_two_skills(demo: Demo) -> None:
    for name in ("comprehension", "generation", "both"):
        assert min(levels(demo[0][name]).values()) >= 2


def test_the_report_is_written_and_names_every_model(demo: Demo) -> None:
    page = (demo[1] / "runs" / "reports" / "demo.html").read_text()
    for name in demo[0]:
        assert name in page
