"""Chance is what the best blind answer gets: no blind model reaches a level, and nobody loses one that sees."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blind_models import MODELS, Answers, Model
from click.testing import CliRunner, Result
from synthetic_tasks import SyntheticSuite, kinds, synthetic_suite, synthetic_task
from toy_instruments import ToyInstruments

from echelon.adapters import Card, Choice, Image, Kind, Mask, Number, Part, Text, Video
from echelon.cli import echelon as commands
from echelon.scorer.chance.cache import ChanceCache, key_of
from echelon.scorer.chance.measurement import chance_of
from echelon.scorer.chance.outcome import RULE, Chance
from echelon.scorer.chance.seeding import Halves, Reservoir, SeededHash
from echelon.scorer.evaluate import Evaluation, evaluate
from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.instruments import Entry, Instruments, Listing
from echelon.scorer.metrics.metric import Metric
from echelon.scorer.metrics.registry import metric
from echelon.scorer.report import as_json, html, text
from echelon.scorer.results import RunResult, Sota
from echelon.scorer.suites.suite import Modality, Paradigm, Sample, SuiteInfo, Task
from echelon.scorer.verdict.family import TaskState

COUNT = 24
INSTRUMENTS = ToyInstruments()


def labelled(answers: Sequence[str], *, closed: bool = False, chance: float = 0.0, **task: Any) -> SyntheticSuite:
    """A suite of one task, to name labels, one sample for each of them."""
    asked = Task(
        id="name",
        title="Name",
        modality=Modality.IMAGE,
        paradigm=Paradigm.COMPREHENSION,
        skill="naming",
        instruction="Name it.",
        output=(Kind.CHOICE,),
        extractor="label",
        metric="accuracy",
        chance=chance,
        labels=tuple(sorted(set(answers))),
    )
    asked = replace(asked, **task)
    samples = [
        Sample(f"{n:03}", "Name it.", (Text(f"thing {n}"),), (Choice.of(label),), f"c{n:03}")
        for n, label in enumerate(answers)
    ]
    return SyntheticSuite(SuiteInfo("labels", "1", "5" * 64, closed=closed), (asked,), {"name": samples})


def measured(suite: SyntheticSuite, at: int = 0, instruments: Instruments | None = None) -> Chance:
    task = suite.tasks[at]
    return chance_of(suite, task, metric(task.metric, task.worst, task.labels, instruments=instruments))


def assessed(
    suite: SyntheticSuite,
    model: Model,
    sota: dict[str, Sota] | None = None,
    *,
    instruments: Instruments = INSTRUMENTS,
    cache: ChanceCache | None = None,
) -> RunResult:
    evaluation = Evaluation(
        suite, "r" * 64, Card("1", (), name="blind"), "here:1/blind", 0, {}, suite.tasks, frozenset(), instruments,
        cache=cache,
    )  # fmt: skip
    return evaluate(evaluation, Answers(suite, model, instruments), sota or {}, viewed=1)


def right(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part | None]:
    return [sample.references[0] for sample in samples]


@pytest.fixture(scope="module")
def every_kind(tmp_path_factory: pytest.TempPathFactory) -> tuple[SyntheticSuite, ChanceCache]:
    """A task of each metric and kind of answer in General-Bench, and where their chances are cached."""
    suite = synthetic_suite(kinds(catalogue().entries), seed=1, count=COUNT)
    return suite, ChanceCache(tmp_path_factory.mktemp("cache") / "chance.sqlite")


def test_every_metric_of_the_catalogue_is_among_the_kinds() -> None:
    found = {synthetic_task(entry).metric for entry in kinds(catalogue().entries)}
    assert found == {synthetic_task(entry).metric for entry in catalogue().entries}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", MODELS)
def test_no_blind_model_reaches_a_level_or_passes_the_gate_on_any_kind_of_task(
    name: str, every_kind: tuple[SyntheticSuite, ChanceCache]
) -> None:
    suite, cache = every_kind
    # Sotas so bad that any answer reaches them: all depends on chance.
    ends = {task.id: metric(task.metric, task.worst, task.labels, instruments=INSTRUMENTS) for task in suite.tasks}
    sota = {
        task: Sota(each.range[0] if each.higher_is_better else 1e12, "a bad paper", metric_id="")
        for task, each in ends.items()
    }
    found = assessed(suite, MODELS[name], sota, cache=cache)
    assert all(task.score is not None for task in found.tasks)
    assert all(task.chance.score is not None for task in found.tasks)
    assert [task.task.id for task in found.tasks if task.above_chance or task.won] == []
    states = {task.task.id: task.verdict.sota.state for task in found.tasks if task.verdict and task.verdict.sota}
    assert [task for task, state in states.items() if state is TaskState.WON] == []
    for level, verdict in zip(found.levels, found.verdicts, strict=True):
        assert (level.level, level.s3, verdict.certified.level) == (0, 0, 0)


@pytest.mark.timeout(600)
def test_a_model_that_sees_is_above_chance_on_every_kind_where_that_is_possible(
    every_kind: tuple[SyntheticSuite, ChanceCache],
) -> None:
    suite, cache = every_kind
    found = assessed(suite, right, cache=cache)
    comparable = [task for task in found.tasks if metric(
        task.task.metric, task.task.worst, task.task.labels, instruments=INSTRUMENTS
    ).references_are_answers and not task.nothing_answered]  # fmt: skip
    assert len(comparable) > 40
    unclear = {task.task.metric for task in comparable if not task.above_chance}
    # There are 18 triplets, and an answer may list 50.
    assert unclear == {"recall_at_50"}
    assert {level.level for level in found.levels} == {2}


@pytest.mark.parametrize("seed", range(40))
def test_labels_that_are_half_and_half_have_a_chance_of_a_half_at_least(seed: int) -> None:
    """Whichever is more common in one half is rarer in the other: cross-fitting alone would be below a half."""
    shuffled = np.random.default_rng(seed).permutation(["yes", "no"] * 20).tolist()
    found = measured(labelled(shuffled)).score
    assert found is not None
    assert 0.5 <= found <= 0.5 + 3 * (0.25 / 40) ** 0.5


def test_of_many_even_labels_chance_stays_near_what_guessing_gets() -> None:
    found = [
        measured(labelled(np.random.default_rng(seed).integers(0, 20, 400).astype(str).tolist())).score
        for seed in range(5)
    ]
    assert all(score is not None and 0.03 < score < 0.1 for score in found)


def test_the_majority_label_is_found_and_named_but_not_of_a_closed_suite() -> None:
    labels = (["cat"] * 6 + ["dog"] * 4) * 20
    opened, closed = measured(labelled(labels)), measured(labelled(labels, closed=True))
    assert opened == Chance(0.6, RULE, 0.6, 0.0, ("always 'cat'",))
    assert closed == replace(opened, candidates=())
    for suite in (labelled(labels, closed=True), labelled(labels)):
        found = assessed(suite, right)
        told = "always 'cat'" in html(found).replace("&#39;", "'")
        assert told is (not suite.info.closed)
        basis = as_json(found)["tasks"][0]["chance_basis"]
        assert basis["rule"] == RULE
        assert basis["candidates"] == ([] if suite.info.closed else ["always 'cat'"])
        assert ("cat" in json.dumps(as_json(found))) is (not suite.info.closed)
        assert RULE in html(found)
        assert "0.600" in text(found)


def test_a_declared_chance_can_only_raise_it() -> None:
    labels = (["cat"] * 6 + ["dog"] * 4) * 20
    assert measured(labelled(labels, chance=0.2)).score == 0.6
    raised = measured(labelled(labels, chance=0.7))
    assert (raised.score, raised.measured, raised.declared) == (0.7, 0.6, 0.7)
    errors = synthetic_suite([entry for entry in catalogue().entries if entry.metric == "MAE"][:1], 0, COUNT)
    lowered = replace(errors.tasks[0], chance=1.0)
    assert measured(SyntheticSuite(errors.info, (lowered,), errors.of)).score == 1.0


def test_chance_is_of_the_whole_suite_whatever_the_run_chose() -> None:
    entries = [entry for entry in catalogue().entries if entry.sheet == "NLP"][:3]
    suite = synthetic_suite(entries, 3, COUNT)
    whole = assessed(suite, right)
    part = evaluate(
        Evaluation(suite, "r" * 64, Card("1", ()), "x/y", 0, {}, suite.tasks[:1], frozenset(), INSTRUMENTS),
        Answers(suite, right, INSTRUMENTS),
        {},
    )
    assert part.tasks[0].chance == whole.tasks[0].chance


def test_chance_is_the_same_every_time_and_follows_the_suites_digest() -> None:
    entry = next(entry for entry in catalogue().entries if synthetic_task(entry).metric == "macro_f1")
    suite = synthetic_suite([entry], 0, 60)
    assert measured(suite) == measured(suite)
    seeds = {measured(replace(suite, info=replace(suite.info, digest=f"{n:064}"))).measured for n in range(6)}
    assert len(seeds) > 1


def test_clusters_are_never_split_between_the_halves() -> None:
    halves = Halves(SeededHash("seed"))
    names = [f"c{n % 30}" for n in range(300)]
    found = [halves.of(name) for name in names]
    assert all(len({half for half, own in zip(found, names, strict=True) if own == name}) == 1 for name in names)
    assert sum(found) == 150


def test_a_reservoir_keeps_the_same_items_in_whatever_order_they_come() -> None:
    one, other = (Reservoir[int](SeededHash("seed"), 5) for _ in range(2))
    for n in range(100):
        one.offer(str(n), n)
        other.offer(str(99 - n), 99 - n)
    assert one.items == other.items
    assert len(one.items) == 5


def test_without_its_instrument_a_blind_answer_has_no_score_and_the_task_lifts_no_level(tmp_path: Path) -> None:
    opinions = tmp_path / "ratings.csv"
    suite = labelled(["fine"] * 30, metric="llm_judge", extractor="text", output=(Kind.TEXT,), labels=())
    suite = replace(suite, of={"name": [replace(s, references=(Text("fine"),)) for s in suite.of["name"]]})
    lines = ["sha256,rating", f"{_sha256('fine')},1"]
    opinions.write_text("\n".join(lines))
    listing = Listing(judges={"answer": Entry("given", {"name": "people", "digest": "12"})})
    found = assessed(suite, right, {"name": Sota(0.1, "a paper")}, instruments=Recorded(listing))
    (task,) = found.tasks
    assert task.score == 1.0
    assert task.chance.score is None
    assert "nobody has judged" in task.chance.reason
    assert (task.above_chance, task.won) == (False, False)
    assert task.verdict is not None
    assert task.verdict.chance_p == 1.0
    assert {level.level for level in found.levels} == {0}
    assert {verdict.certified.level for verdict in found.verdicts} == {0}
    assert as_json(found)["tasks"][0]["chance"] is None
    assert "chance unknown" in html(found)


def _sha256(value: str) -> str:
    import hashlib

    return hashlib.sha256(value.encode()).hexdigest()


class Recorded(Instruments):
    """A judge who has seen one answer only."""

    def judge(self, role: str) -> Any:
        from echelon.scorer.errors import NotComputedError

        class People:
            name, digest = "people", "12"

            def judge(self, answer: Part, references: Sequence[Part]) -> float:
                if answer != Text("fine"):
                    raise NotComputedError("nobody has judged this answer")
                return 1.0

        return People()


def test_marks_and_embeddings_from_elsewhere_leave_chance_unknown() -> None:
    suite = labelled(["1"] * 30, metric="mos", extractor="number", output=(Kind.NUMBER,), labels=())
    suite = replace(suite, of={"name": [replace(s, references=(Text("say"),)) for s in suite.of["name"]]})
    given = Instruments(Listing(judges={"opinion": Entry("given", {"name": "people", "digest": "12"})}))
    found = measured(suite, instruments=given)
    assert found.score is None
    assert "measurements made elsewhere" in found.reason


def test_a_cached_chance_is_the_measured_one_and_a_spoilt_cache_is_not_believed(tmp_path: Path) -> None:
    suite = labelled(["cat", "dog", "cow"] * 10)
    task, measure = suite.tasks[0], metric("accuracy", None, suite.tasks[0].labels)
    cache = ChanceCache(tmp_path / "deep" / "chance.sqlite")
    first = chance_of(suite, task, measure, cache)
    key = key_of(suite.info.digest, task, f"{measure.id}|label@2")
    assert cache.get(key) == first == chance_of(suite, task, measure, cache)
    data = (tmp_path / "deep" / "chance.sqlite").read_bytes()
    spoilt = data.replace(b'"score": 0.', b'"score": 9.')
    assert spoilt != data
    (tmp_path / "deep" / "chance.sqlite").write_bytes(spoilt)
    assert cache.get(key) is None
    assert chance_of(suite, task, measure, cache) == first
    (tmp_path / "deep" / "chance.sqlite").write_bytes(b"nothing of the kind")
    assert chance_of(suite, task, measure, cache) == first
    (tmp_path / "file").write_text("")
    assert chance_of(suite, task, measure, ChanceCache(tmp_path / "file" / "chance.sqlite")) == first


def test_another_declaration_metric_or_suite_is_another_key() -> None:
    suite = labelled(["cat", "dog"] * 10)
    task = suite.tasks[0]
    keys = {
        key_of("1", task, "m"),
        key_of("2", task, "m"),
        key_of("1", replace(task, chance=0.1), "m"),
        key_of("1", task, "n"),
    }
    assert len(keys) == 4


def test_a_score_that_is_not_clearly_above_chance_passes_no_gate() -> None:
    suite = labelled((["cat"] * 6 + ["dog"] * 4) * 20)

    def nearly_blind(task: Task, measure: Metric, samples: Sequence[Sample]) -> Sequence[Part]:
        return [sample.references[0] if n < 5 else Choice.of("cat") for n, sample in enumerate(samples)]

    bad = {"name": Sota(0.1, "a paper")}
    blind, sees = assessed(suite, nearly_blind, bad).tasks[0], assessed(suite, right, bad).tasks[0]
    assert (blind.score, blind.chance.score) == (0.6, 0.6)
    assert not blind.won
    assert sees.won


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def crowd(root: Path) -> None:
    """Three tasks whose sota or worst value used to be their chance."""
    noise = np.random.default_rng(4)
    counted = root / "image/comprehension/Crowd Counting"
    shapes = root / "3d/generation/3D Point Cloud Completion"
    items: dict[str, list[dict[str, Any]]] = {"count": [], "code": [], "shape": []}
    for n in range(30):
        write(counted / f"{n}.png", Image.from_array(noise.integers(0, 256, (4, 4), dtype=np.uint8)).data)
        answer = {"answer": int(noise.lognormal(4, 1))}
        items["count"].append({"id": n, "input": {"prompt": "How many?", "image": f"{n}.png"}, "output": answer})
        code = f"def f{n}(x):\n    return x * {n % 4} + 1\n"
        asked = {"language": "Python", "goal": f"make f{n}", "context": "none"}
        items["code"].append({"id": n, **asked, "output": {"response": {"content": code}}})
        points = noise.normal(size=(40, 3)).astype(np.float32)
        shapes.mkdir(parents=True, exist_ok=True)
        np.save(shapes / f"{n}.npy", points)
        np.save(shapes / f"part-{n}.npy", points[:20])
        given = {"prompt": "Complete it.", "points": f"part-{n}.npy"}
        items["shape"].append({"id": n, "input": given, "output": {"points": f"{n}.npy"}})
    write(counted / "annotation.json", {"task": "Crowd Counting", "data": items["count"]})
    write(shapes / "annotation.json", {"task": "3D Point Cloud Completion", "data": items["shape"]})
    write(root / "nlp/Code-Generation/annotation.json", {"type": "Code Generation", "data": items["code"]})


@pytest.fixture
def echelon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path / "cache"))
    return lambda *arguments: CliRunner().invoke(commands, [str(argument) for argument in arguments])


@pytest.mark.parametrize("model", ["null", "chance"])
def test_the_controls_are_certified_nothing_on_a_folder_of_general_bench(
    model: str, tmp_path: Path, processes: Any, echelon: Callable[..., Result]
) -> None:
    crowd(tmp_path / "bench")
    _, address = processes("--model", f"{model}={model}")
    ran = echelon("run", tmp_path / "bench", "--model", f"{address}/{model}", "--store", tmp_path / "runs", "--json",
                  "--quiet")  # fmt: skip
    assert ran.exit_code in (0, 3), ran.output
    document = json.loads(ran.stdout)
    tasks = {re.split("[@/]", task["metric"])[0]: task for task in document["tasks"] if task["sample_count"]}
    assert set(tasks) == {"mae", "chamfer", "codebleu"}
    for name, task in tasks.items():
        assert task["score"] is not None
        assert task["chance_basis"]["rule"] == RULE
        better = task["score"] < task["chance"] if name in ("mae", "chamfer") else task["score"] > task["chance"]
        assert not better
        assert not task["above_chance"]
        assert not task["won"]
    assert [(each["level"], each["certified"]["level"]) for each in document["levels"]] == [(0, 0), (0, 0)]
    # Without the cache the report says the same.
    again = echelon("report", "last", "--store", tmp_path / "runs", "--json").stdout
    (tmp_path / "cache" / "chance.sqlite").unlink()
    assert echelon("report", "last", "--store", tmp_path / "runs", "--json").stdout == again


@pytest.mark.parametrize("name", ["chance", "hashes"])
def test_answers_that_only_differ_have_no_better_frechet_distance_than_chance(name: str) -> None:
    entries = [entry for entry in kinds(catalogue().entries) if synthetic_task(entry).metric in ("fid", "fvd", "fad")]
    suite = synthetic_suite(entries, 0, 80)
    assert len(suite.tasks) == 4
    for task in assessed(suite, MODELS[name]).tasks:
        assert task.score is not None
        assert task.chance.score is not None
        assert task.score >= task.chance.score


def test_numbers_have_the_median_as_chance() -> None:
    entry = next(entry for entry in catalogue().entries if entry.metric == "MAE")
    suite = synthetic_suite([entry], 7, 101)
    task = suite.tasks[0]
    values = [part.value for sample in suite.of[task.id] for part in sample.references if isinstance(part, Number)]
    best = float(np.abs(np.array(values) - np.median(values)).mean())
    found = measured(suite).score
    assert found is not None
    assert best <= found <= 1.05 * best


Row = tuple[str, tuple[Part, ...], Part]


def asked(metric_name: str, extractor_name: str, kind: Kind, rows: Sequence[Row], **task: Any) -> SyntheticSuite:
    """A suite of one task with these instructions, inputs and references."""
    suite = labelled(
        ["none"] * len(rows), metric=metric_name, extractor=extractor_name, output=(kind,), labels=(), **task
    )
    samples = [
        replace(sample, instruction=instruction, parts=parts, references=(reference,))
        for sample, (instruction, parts, reference) in zip(suite.of["name"], rows, strict=True)
    ]
    return replace(suite, of={"name": samples})


def passes(suite: SyntheticSuite, answer: Callable[[Sample], Part]) -> bool:
    """Whether a model that answers like that reaches anything, against a sota that any answer reaches."""
    task = suite.tasks[0]
    each = metric(task.metric, task.worst)
    sota = Sota(each.range[0] if each.higher_is_better else 1e12, "a bad paper")
    found = assessed(suite, lambda task, measure, samples: [answer(sample) for sample in samples], {"name": sota})
    (only,) = found.tasks
    assert only.chance.score is not None
    state = only.verdict.sota.state if only.verdict is not None and only.verdict.sota is not None else None
    certified = any(verdict.certified.level for verdict in found.verdicts)
    return only.above_chance or only.won or state is TaskState.WON or certified


def picture(values: Any) -> Image:
    return Image.from_array(np.clip(values, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("closed", [False, True])
def test_why_chance_is_unknown_quotes_nothing_of_a_closed_suite(closed: bool) -> None:
    class Quoting(Instruments):
        """A judge whose errors quote the answer."""

        def judge(self, role: str) -> Any:
            from echelon.scorer.errors import NotComputedError

            class Judge:
                name, digest = "judge", "12"

                def judge(self, answer: Part, references: Sequence[Part]) -> float:
                    raise NotComputedError(f"no mark for a secret: {references[0]}")

            return Judge()

    rows: list[Row] = [("Say.", (), Text("secret")) for _ in range(24)]
    suite = asked("llm_judge", "text", Kind.TEXT, rows)
    suite = replace(suite, info=replace(suite.info, closed=closed))
    found = measured(
        suite, instruments=Quoting(Listing(judges={"answer": Entry("given", {"name": "j", "digest": "1"})}))
    )
    assert found.score is None
    assert found.reason.startswith("a blind answer cannot be measured")
    assert ("secret" in found.reason) is not closed


def test_masks_without_a_single_known_pixel_are_evaluated() -> None:
    void = Mask.from_array(np.full((4, 4), 255, np.uint8))
    rows: list[Row] = [("Segment.", (), void) for _ in range(24)]
    suite = asked("miou", "mask", Kind.MASK, rows)
    suite = replace(suite, tasks=(replace(suite.tasks[0], labels=("a", "b")),))
    (task,) = assessed(suite, lambda task, measure, samples: [Mask.from_array(np.zeros((4, 4), np.uint8))] * 24).tasks
    assert (task.score, task.above_chance) == (1.0, False)


def test_references_longer_than_any_candidate_have_a_chance() -> None:
    rows: list[Row] = [("Say.", (), Text(f"{n} " + "x" * 9000)) for n in range(24)]
    assert measured(asked("exact_match", "text", Kind.TEXT, rows)).score is not None


@pytest.mark.parametrize("name", ["mae", "rmse", "mse_number"])
def test_a_capped_error_is_least_where_the_references_lie_closest(name: str) -> None:
    noise = np.random.default_rng(1)
    values = [*noise.uniform(0, 90, 150), *noise.normal(100, 0.3, 60), *noise.uniform(200, 1000, 290)]
    rows: list[Row] = [("How many?", (), Number(float(value))) for value in noise.permutation(values)]
    suite = asked(name, "number", Kind.NUMBER, rows, worst=5.0, chance=1e9)
    assert not passes(suite, lambda sample: Number(100.0))


COLOURS = ["red", "blue", "green", "black", "white", "pink", "grey", "gold"]


@pytest.mark.parametrize("form", ["instruction", "text", "lettered", "choice"])
@pytest.mark.parametrize("extractor_name", ["label", "text"])
def test_the_option_at_a_certain_place_is_a_blind_answer(form: str, extractor_name: str) -> None:
    noise = np.random.default_rng(2)
    rows: list[Row] = []
    options: dict[str, str] = {}
    for n in range(200):
        offered = noise.permutation(COLOURS)[:4].tolist()
        label = offered[2] if noise.random() < 0.6 else str(noise.choice(offered))
        options[f"{n:03}"] = offered[2]
        listed = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", offered, strict=True))
        question = {"lettered": f"Which?\n{listed}", "choice": ""}.get(form, f"Which of these: {', '.join(offered)} ?")
        given: Part = Choice.of(*offered) if form == "choice" else Text(question)
        reference: Part = Choice.of(label) if extractor_name == "label" else Text(label)
        rows.append((question, (), reference) if form == "instruction" else ("Choose.", (given,), reference))
    kind, name = (Kind.CHOICE, "accuracy") if extractor_name == "label" else (Kind.TEXT, "exact_match")
    suite = asked(name, extractor_name, kind, rows)
    assert not passes(suite, lambda sample: Text(options[sample.id]))
    assert assessed(suite, right).tasks[0].above_chance


@pytest.mark.parametrize("word", [0, -1])
def test_the_first_and_last_word_of_the_question_are_blind_answers(word: int) -> None:
    noise = np.random.default_rng(3)
    rows: list[Row] = []
    for _ in range(200):
        names = noise.permutation(COLOURS)[:5].tolist()
        right_one = names[word] if noise.random() < 0.7 else names[2]
        rows.append((" ".join(names) + "?", (), Choice.of(right_one)))
    suite = asked("accuracy", "label", Kind.CHOICE, rows)
    assert not passes(suite, lambda sample: Choice.of(sample.instruction.strip("?").split()[word]))


def walk(noise: np.random.Generator, count: int) -> list[Any]:
    """Pictures of which each is much like the one before."""
    frames = [noise.uniform(0, 255, (16, 16, 3))]
    while len(frames) < count:
        frames.append(np.clip(frames[-1] + noise.normal(0, 25, (16, 16, 3)), 0, 255))
    return frames


def test_the_mean_and_the_last_of_several_pictures_are_blind_answers() -> None:
    noise = np.random.default_rng(4)
    burst: list[Row] = []
    following: list[Row] = []
    for _ in range(40):
        clean = noise.uniform(0, 255, (16, 16, 3))
        shots = tuple(picture(clean + noise.normal(0, 40, clean.shape)) for _ in range(4))
        burst.append(("Denoise.", shots, picture(clean)))
        frames = [picture(frame) for frame in walk(noise, 8)]
        following.append(("Go on.", tuple(frames[:-1]), frames[-1]))

    def mean(sample: Sample) -> Part:
        return picture(np.mean([part.array() for part in sample.parts if isinstance(part, Image)], axis=0))

    assert not passes(asked("psnr", "image", Kind.IMAGE, burst), mean)
    assert not passes(asked("psnr", "image", Kind.IMAGE, following), lambda sample: sample.parts[-1])


@pytest.mark.parametrize("kind", [Kind.IMAGE, Kind.VIDEO])
def test_the_last_frame_of_a_video_is_a_blind_answer(kind: Kind) -> None:
    noise = np.random.default_rng(5)
    rows: list[Row] = []
    for _ in range(30):
        frames = np.stack(walk(noise, 8)).astype(np.uint8)
        given, after = (Video.from_array(half, frames_per_second=8) for half in (frames[:4], frames[4:]))
        rows.append(("Go on.", (given,), after if kind is Kind.VIDEO else picture(frames[4])))

    def last(sample: Sample) -> Part:
        (given,) = sample.parts
        assert isinstance(given, Video)
        frame = given.array()[-1:]
        return (
            picture(frame[0]) if kind is Kind.IMAGE else Video.from_array(np.repeat(frame, 4, 0), frames_per_second=8)
        )

    suite = asked("psnr" if kind is Kind.IMAGE else "psnr_video", kind.value, kind, rows)
    assert not passes(suite, last)


@pytest.mark.parametrize("seed", range(8))
def test_of_near_equals_the_best_is_found_among_many_samples(seed: int) -> None:
    """On 64 samples of a half nobody can tell 31 of 100 from 25 of 100."""
    noise = np.random.default_rng(seed)
    levels = noise.choice([0, 85, 170, 255], 1000, p=[0.19, 0.25, 0.25, 0.31])
    rows: list[Row] = [("Paint.", (), picture(np.full((2, 2, 3), level))) for level in levels]
    suite = asked("psnr", "image", Kind.IMAGE, rows)
    white = [metric("psnr").sample(picture(np.full((2, 2, 3), 255)), (reference,)) for *_, reference in rows]
    found = measured(suite).score
    assert found is not None
    assert found >= metric("psnr").finish(white) - 1e-9
