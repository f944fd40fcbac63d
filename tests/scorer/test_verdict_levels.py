"""The verdict of levels, and the commands that compare and plan, on suites and stores as users have them."""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from echelon.adapters import Call, CallSupport, Card, Composition, Kind, ScoredLabel
from echelon.adapters.content import Choice
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import RunResult, Sota, TaskSota
from echelon.scorer.sota import from_run, to_plain
from echelon.scorer.store import Rows, RunRecord, Store
from echelon.scorer.stored import result_of
from echelon.scorer.suites.folder import FolderSuite
from echelon.scorer.verdict.budget import ALPHA
from echelon.scorer.verdict.family import TaskState
from echelon.scorer.verdict.plan import plans
from echelon.scorer.verdict.task import Against
from echelon.scorer.verdict.tries import alpha_of

N = 100
TASKS = {
    "image-c": ("image", "comprehension", "seeing"),
    "image-g": ("image", "generation", "drawing"),
    "audio-c": ("audio", "comprehension", "hearing"),
    "audio-g": ("audio", "generation", "singing"),
    "words": ("language", "language", "reading"),
}
CARD = Card(
    "1",
    tuple(CallSupport(call, (Kind.TEXT,), (Kind.CHOICE,)) for call in (Call.COMPREHEND, Call.GENERATE, Call.LANGUAGE)),
    name="mine",
)
Right = dict[str, int]
"""How many samples of each task are right; the first ones are."""


def make_suite(folder: Path, *, closed: bool = False, cluster: int = 1, margin: float = 0.0) -> FolderSuite:
    """Five tasks of yes and no, in clusters of so many samples."""
    folder.mkdir()
    lines = ["name: five", 'version: "1"', f"closed: {str(closed).lower()}", "tasks:"]
    for task, (modality, paradigm, skill) in TASKS.items():
        lines.append(
            f"  - {{id: {task}, title: T, modality: {modality}, paradigm: {paradigm}, skill: {skill}, "
            f'instruction: "Yes?", output: choice, labels: ["yes", "no"], extractor: label, metric: accuracy, '
            f"chance: 0.5, margin: {margin}, samples: samples.jsonl}}"
        )
    (folder / "suite.yaml").write_text("\n".join(lines))
    samples = [
        {
            "id": f"{n:03}",
            "parts": [],
            "reference": {"kind": "choice", "labels": [reference(n)]},
            "cluster": f"{n // cluster}",
        }
        for n in range(N)
    ]
    (folder / "samples.jsonl").write_text("\n".join(map(json.dumps, samples)))
    return FolderSuite(folder)


def reference(n: int) -> str:
    """As many of the one as of the other, so that answering blindly gets a half."""
    return ("yes", "no")[n % 2]


def outcome(task: str, n: int, right: bool) -> SampleOutcome:
    label = ScoredLabel(reference(n) if right else reference(n + 1))
    return SampleOutcome(task, f"{n:03}", State.ANSWERED, (Choice((label,)),))


def store_run(
    store: Store,
    suite: FolderSuite,
    run: str,
    right: Right,
    sota: Mapping[str, TaskSota] | None = None,
    card: Card = CARD,
) -> RunResult:
    """A stored run of which so many samples are right, and its result."""
    about = {"folder": str(suite.path), "tasks": list(TASKS), "name": "five", "digest": suite.info.digest}
    record = RunRecord(run * 64, about, card, "here:1/mine", 0, {}, f"2026-{run}", to_plain(sota or {}))
    store.create(record)
    rows = [(outcome(task, n, n < right.get(task, 0)), 1.0) for task in TASKS for n in range(N)]
    store.commit(record.run, Rows(rows))
    return result_of(suite, record, store)


def judged(tmp_path: Path, model: Right, reference: Right, card: Card = CARD, **suite: Any) -> RunResult:
    """The result of a model against a reference run."""
    opened = make_suite(tmp_path / "suite", **suite)
    with Store(tmp_path / "runs", write=True) as store:
        sota = from_run(store_run(store, opened, "a", reference))
        return store_run(store, opened, "b", model, sota, card)


def all_of(right: int, **others: int) -> Right:
    return dict.fromkeys(TASKS, right) | {name.replace("_", "-"): value for name, value in others.items()}


def states(result: RunResult) -> dict[str, TaskState | None]:
    found = {}
    for task in result.tasks:
        assert task.verdict is not None
        found[task.task.id] = task.verdict.sota.state if task.verdict.sota else None
    return found


def levels(result: RunResult) -> list[tuple[int, int, int]]:
    return [(each.certified.level, each.paper.level, each.possible.level) for each in result.verdicts]


def test_clear_wins_everywhere_certify_level_5_with_the_sotas_sigmas(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(98), all_of(70))
    assert set(states(found).values()) == {TaskState.WON}
    assert levels(found) == [(5, 5, 5), (5, 5, 5)]
    for verdict in found.verdicts:
        assert verdict.certified.s3 == pytest.approx(70)
        assert verdict.certified.s4 == pytest.approx(70)
        assert verdict.certified.s5 == pytest.approx(49)
        assert 70 < verdict.certified.s2 < 98
        assert verdict.possible.s3 >= verdict.paper.s3 == pytest.approx(98)
        assert all(p <= verdict.parts[level] for level, p in verdict.p.items())
        assert verdict.basis is Against.PAIRS


def test_small_leads_are_paper_only(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(72), all_of(70))
    assert set(states(found).values()) == {TaskState.UNDECIDED}
    assert levels(found) == [(2, 5, 5), (2, 5, 5)]
    assert found.verdicts[0].certified.s3 == 0


def test_what_is_shown_to_be_below_is_not_even_possible(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(70, words=70), all_of(98, words=71))
    assert states(found)["image-c"] is TaskState.BELOW
    assert levels(found) == [(2, 2, 2), (2, 2, 2)]
    assert found.verdicts[0].possible.s3 == 0


def test_a_tie_passes_the_papers_gate_and_is_possible_but_not_certified(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(80), all_of(80))
    assert set(states(found).values()) == {TaskState.TIE}
    assert levels(found) == [(2, 5, 5), (2, 5, 5)]


def test_2025_wants_both_sides_within_one_modality(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(70, image_c=98, audio_g=98), all_of(70))
    assert [verdict.certified.level for verdict in found.verdicts] == [4, 3]
    by_edition = {verdict.edition: verdict.p for verdict in found.verdicts}
    assert by_edition["2024"][4] <= ALPHA < by_edition["2025"][4]


def test_no_higher_level_is_tested_before_the_lower_ones_hold(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(70, words=98), all_of(70))
    assert states(found)["words"] is TaskState.WON
    assert [verdict.certified.level for verdict in found.verdicts] == [2, 2]


def test_a_dispatcher_is_at_most_level_2_but_on_paper(tmp_path: Path) -> None:
    card = replace(CARD, composition=Composition.DISPATCHER)
    found = judged(tmp_path, all_of(98), all_of(70), card)
    assert levels(found) == [(2, 5, 2), (2, 5, 2)]


def test_level_2_is_certified_of_two_skills_above_chance(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(50, image_c=90, audio_c=90), all_of(98))
    assert [verdict.certified.level for verdict in found.verdicts] == [2, 2]


def test_one_skill_above_chance_is_certified_as_a_specialist(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(50, image_c=90), all_of(98))
    assert [verdict.certified.level for verdict in found.verdicts] == [1, 1]


def test_fewer_than_20_clusters_certify_nothing_at_all(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(98), all_of(70), cluster=10)
    assert set(states(found).values()) == {TaskState.UNDECIDED}
    assert [verdict.certified.level for verdict in found.verdicts] == [0, 0]


def test_a_margin_of_the_manifest_has_to_be_exceeded(tmp_path: Path) -> None:
    assert set(states(judged(tmp_path, all_of(98), all_of(70), margin=0.25)).values()) == {TaskState.UNDECIDED}


def test_a_constant_sota_is_worded_as_one(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite")
    with Store(tmp_path / "runs", write=True) as store:
        found = store_run(store, suite, "a", all_of(98), {"words": Sota(0.7, "a paper")})
    words = found.tasks[-1].verdict
    assert words is not None
    assert words.sota is not None
    assert (words.sota.against, words.method) == (Against.CONSTANT, "difference of two proportions")
    assert words.sota.constant_p is not None
    assert words.sota.constant_p < words.sota.adjusted_p
    assert states(found)["image-c"] is None


def test_a_task_without_a_score_yet_may_still_be_won(tmp_path: Path) -> None:
    """Nothing speaks against an incomplete task, so what is possible counts it in full."""
    suite = make_suite(tmp_path / "suite")
    about = {"folder": str(suite.path), "tasks": list(TASKS), "name": "five", "digest": suite.info.digest}
    sotas = to_plain(dict.fromkeys(TASKS, Sota(0.98, "a paper", 100)))
    record = RunRecord("a" * 64, about, CARD, "here:1/mine", 0, {}, "2026-a", sotas)
    with Store(tmp_path / "runs", write=True) as store:
        store.create(record)
        for task in TASKS:
            answered = N if task != "image-g" else N - 1
            store.commit(record.run, Rows([(outcome(task, n, n < 70), 1.0) for n in range(answered)]))
        found = result_of(suite, record, store)
    assert states_of_measured(found) == dict.fromkeys(TASKS.keys() - {"image-g"}, TaskState.BELOW)
    for verdict in found.verdicts:
        assert (verdict.certified.level, verdict.possible.level) == (2, 3)
        assert verdict.possible.s3 > 0
        assert verdict.possible.s2 > verdict.paper.s2


def states_of_measured(result: RunResult) -> dict[str, TaskState]:
    return {
        task.task.id: task.verdict.sota.state
        for task in result.tasks
        if task.verdict is not None and task.verdict.sota is not None
    }


def test_a_certified_score_counts_no_luck_of_the_reference_run(tmp_path: Path) -> None:
    """With few samples the reference run's own score is no bound of the model's: the model's own bound is lower."""
    found = judged(tmp_path, all_of(99), all_of(88))
    assert states(found)["image-c"] is TaskState.WON
    for verdict in found.verdicts:
        task = found.tasks[0]
        assert task.verdict is not None
        bound = task.verdict.level_bounds.lower
        assert bound is not None
        assert verdict.certified.s3 == pytest.approx(min(88.0, 100 * bound))
        assert bound < 0.99


def test_a_certified_level_names_the_least_certain_sota_that_it_rests_on(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite")
    with Store(tmp_path / "runs", write=True) as store:
        pairs = from_run(store_run(store, suite, "a", all_of(70)))
        mixed = pairs | {"words": Sota(0.6, "a paper", n=500), "audio-g": Sota(0.6, "a paper")}
        bases = [
            {verdict.basis for verdict in store_run(store, suite, name, right, mixed).verdicts}
            for name, right in (("b", all_of(99)), ("c", all_of(70, image_c=99)), ("d", all_of(70)))
        ]
    assert bases == [{Against.CONSTANT}, {Against.PAIRS}, {None}]


def test_a_try_at_a_closed_set_claims_at_its_own_alpha(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite", closed=True)
    assert suite.info.closed
    with Store(tmp_path / "runs", write=True) as store:
        sota = from_run(store_run(store, suite, "a", all_of(70)))
        store_run(store, suite, "b", all_of(98), sota)
        record = store.run("b")
        third = replace(record, suite={**record.suite, "attempt": 3})
        found = result_of(suite, third, store)
    assert {verdict.alpha for verdict in found.verdicts} == {alpha_of(third)} == {ALPHA / 8}
    assert "a closed set: this attempt claims what holds at 0.625%" in found.verdicts[0].notes[0]


@pytest.fixture
def echelon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command line in this process; what it printed."""
    from echelon.cli import main

    def run(*arguments: str, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", ["echelon", *arguments, "--store", str(tmp_path / "runs")])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert int(ended.value.code or 0) == code, captured.err
        return captured.out if code == 0 else captured.err

    return run


def test_compare_tells_better_from_worse_and_what_could_be_found(tmp_path: Path, echelon: Callable[..., str]) -> None:
    judged(tmp_path, all_of(70, image_c=98, image_g=40), all_of(70))
    found = json.loads(echelon("compare", "b", "a", "--json"))
    words = {task["task"]: task["word"] for task in found["tasks"]}
    assert words == dict.fromkeys(TASKS, "the same") | {"image-c": "better", "image-g": "worse"}
    image = found["tasks"][0]
    assert image["difference"]["value"] == pytest.approx(0.28)
    assert image["difference"]["lower"] < 0.28 < image["difference"]["upper"]
    assert 0 < image["detectable"] < 0.28
    assert image["p"] < 1e-6
    text = echelon("compare", "b", "a")
    assert "3 the same, 1 better, 1 worse" in text


def test_compare_turned_round_says_the_opposite(tmp_path: Path, echelon: Callable[..., str]) -> None:
    judged(tmp_path, all_of(78, image_c=98), all_of(70))
    there, back = (json.loads(echelon("compare", *pair, "--json"))["tasks"] for pair in (("a", "b"), ("b", "a")))
    for one, other in zip(there, back, strict=True):
        assert one["difference"]["value"] == pytest.approx(-other["difference"]["value"])
        assert one["p"] == pytest.approx(other["p"])
    assert (there[0]["word"], back[0]["word"]) == ("worse", "better")


def test_compare_refuses_runs_of_other_samples(tmp_path: Path, echelon: Callable[..., str]) -> None:
    judged(tmp_path, all_of(70), all_of(70))
    with Store(tmp_path / "runs", write=True) as store:
        store_run(store, make_suite(tmp_path / "other", cluster=2), "c", all_of(70))
    assert "a reference run must be of the same samples" in echelon("compare", "c", "a", code=1)


def test_plan_names_the_nearest_task_and_the_side_that_holds_back(tmp_path: Path, echelon: Callable[..., str]) -> None:
    result = judged(tmp_path, all_of(60, image_c=98, audio_c=74), all_of(70))
    for plan in plans(result):
        assert (plan.level, plan.next_level) == (3, 4)
        raising = [step for step in plan.steps if step.adds["s4"] > 0]
        wanted = {"2024": {"image-g", "audio-g"}, "2025": {"image-g"}}[plan.edition]
        assert {step.task for step in raising} == wanted
        assert plan.steps[: len(raising)] == tuple(raising)
    half = next(iter(plans(result))).steps
    assert [step.adds["s3"] for step in half if step.task == "audio-c"] == [pytest.approx(70 / 4)]
    found = json.loads(echelon("plan", "b", "--json"))["plans"]
    balance = found[0]["balances"][0]
    assert (balance["scope"], balance["held_back_by"]) == ("all tasks", "generation")
    text = echelon("plan", "b")
    assert "edition 2024: level 3 is certified, on the way to level 4" in text
    assert "S4 is 0 while no task of generation reaches its sota" in text


def test_plan_says_which_side_a_point_more_is_worth_more_on(tmp_path: Path) -> None:
    found = judged(tmp_path, all_of(90, image_g=60, audio_g=75), all_of(70))
    balance = next(plans(found)).balances[0]
    one, other = balance.comprehension, balance.generation
    assert (one, other) == pytest.approx((90, 37.5))
    gained = 2 * one * (other + 0.01) / (one + other + 0.01) - 2 * one * other / (one + other)
    assert balance.per_point_of_generation == pytest.approx(gained / 0.01, rel=1e-3)
    assert balance.held_back_by == "generation"


def test_plan_of_a_run_that_has_won_everything_has_no_steps(tmp_path: Path, echelon: Callable[..., str]) -> None:
    judged(tmp_path, all_of(98), all_of(70))
    assert "there is no higher level\nno task with a sota is left to be won" in echelon("plan", "b")


def kept(tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {task["id"]: task["verdict"] for task in tasks}


def test_the_report_gives_every_figure_as_json(tmp_path: Path, echelon: Callable[..., str]) -> None:
    judged(tmp_path, all_of(98), all_of(70))
    found = json.loads(echelon("report", "b", "--json"))
    assert [level["certified"]["level"] for level in found["levels"]] == [5, 5]
    verdict = kept(found["tasks"])["words"]
    assert verdict["sota"]["state"] == "won"
    assert verdict["sota"]["against"] == "the same samples"
    assert verdict["clusters"] == N
