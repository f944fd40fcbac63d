"""What is exported of a run and scored again has the run's numbers, to the last bit, however its samples ended."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from echelon.adapters import (
    Audio,
    Box,
    Boxes,
    Call,
    CallSupport,
    Card,
    Choice,
    Image,
    Json,
    Kind,
    Mask,
    Mesh,
    Number,
    Part,
    PointCloud,
    Tensor,
    Text,
    Video,
)
from echelon.scorer.general_bench.catalogue import Entry, catalogue
from echelon.scorer.general_bench.loader import GeneralBench
from echelon.scorer.general_bench.mapping import reading_of, task_id
from echelon.scorer.general_bench.prediction_export import Exported, PredictionForm, write_predictions
from echelon.scorer.general_bench.scoring import score
from echelon.scorer.outcomes import SampleOutcome, State
from echelon.scorer.results import TaskResult
from echelon.scorer.store import Rows, RunRecord, Store
from echelon.scorer.stored import result_of

COUNT = 4
CARD = Card("all", tuple(CallSupport(call, tuple(Kind), tuple(Kind)) for call in Call), name="mine")
RUN = "a" * 64
SHAPES = {"abs_rel": (2, 3, 4), "epe": (3, 4, 2), "miou_video": (2, 3, 4), "rmse_normals": (3, 4, 3), "rte": (5, 3, 4)}


def entries() -> dict[str, Entry]:
    """An entry for each way of reading and metric that needs neither an instrument nor labels that nobody told."""
    found: dict[str, Entry] = {}
    for entry in catalogue().entries:
        reading = reading_of(entry)
        found.setdefault(f"{reading.extractor} {reading.metric}", entry)
    wanted = """term accuracy, term macro_accuracy, term macro_f1, terms micro_f1, text anls, text bleu1, text bleu4,
        text cider, text codebleu, text exact_match, text rouge1, text rouge_l, text token_f1, number mae, number rmse,
        mask dice, boxes success_auc, boxes m_viou, tensor abs_rel, tensor ap_anomaly, tensor epe, tensor miou_video,
        tensor rms, tensor rmse_normals, tensor rte, json ap50_masks, json span_f1, image auc, image mse, image psnr,
        image rmse_image, image sad, audio mcd, video flicker_l1, video psnr_video, video s_measure, points chamfer"""
    return {name: found[name] for name in map(str.strip, wanted.split(","))}


ENTRIES = entries()


def randomly(n: int) -> np.random.Generator:
    return np.random.default_rng(n)


def tensor(metric: str, n: int) -> np.ndarray:
    if metric == "miou_video":
        return randomly(n).integers(0, 3, SHAPES[metric])
    if metric == "ap_anomaly":
        return randomly(n).uniform(0, 1, (6, 7))
    return randomly(n).uniform(0.5, 4, SHAPES.get(metric, (3, 4))).astype(np.float32)


def picture(n: int, *, grey: bool = False) -> Image:
    return Image.from_array(randomly(n).integers(0, 256, (8, 9) if grey else (8, 9, 3), dtype=np.uint8))


def clip(n: int, *, grey: bool = False) -> Video:
    frames = randomly(n).integers(0, 256, (3, 8, 9) if grey else (3, 8, 9, 3), dtype=np.uint8)
    return Video.from_array(frames, frames_per_second=24)


def sound(n: int) -> Audio:
    return Audio.from_array(randomly(n).uniform(-0.5, 0.5, 4000), 16_000)


def mask(n: int) -> Mask:
    return Mask.from_array(randomly(n).integers(0, 2, (6, 7), dtype=np.uint8))


def instances(n: int) -> list[dict[str, Any]]:
    columns = randomly(n).permutation(5)[:2]
    return [
        {"category_id": 1, "segmentation": {"size": [4, 5], "counts": [4 * int(at), 4, 4 * (4 - int(at))]}}
        for at in columns
    ]


def reference(entry: Entry, n: int, folder: Path) -> Any:
    """What the annotation says is right, media as files."""
    reading = reading_of(entry)

    def file(name: str, content: bytes) -> str:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        return name

    def array(values: np.ndarray) -> str:
        np.save(folder / f"gold{n}.npy", values)
        return f"gold{n}.npy"

    grey = reading.metric in ("auc", "mse", "sad", "s_measure")
    match reading.extractor:
        case "term":
            return ["Red fox", "blue", "green."][n % 3]
        case "terms":
            return ["Ann, Bob", "Ann<p>Cy"][n % 2]
        case "text":
            return "def f(a):\n    b = a\n    return b" if reading.metric == "codebleu" else f"the red fox runs {n}"
        case "number":
            return n + 0.5
        case "mask":
            return file(f"gold{n}.png", mask(n).png)
        case "boxes":
            return [[n, 1, 4.25, 4], [n + 1, 1, 4, 4.5]]
        case "tensor":
            if reading.metric == "ap_anomaly":
                return file(f"gold{n}.png", Image.from_array(255 * mask(n).array().astype(np.uint8)).data)
            return array(tensor(reading.metric, n))
        case "json":
            return instances(n) if reading.metric == "ap50_masks" else [{"type": "person", "text": f"Ann {n}"}]
        case "image":
            return file(f"gold{n}.png", picture(n, grey=grey).data)
        case "audio":
            return file(f"gold{n}.wav", sound(n).data)
        case "video":
            for number, frame in enumerate(clip(n, grey=grey).frames):
                file(f"gold{n}/{number}.png", frame.image.data)
            return f"gold{n}"
    return array(randomly(n).normal(size=(16, 3)).astype(np.float32))


AWKWARD = (
    "",
    " ",
    "Red fox",
    "the answer is: 'red fox'.",
    "answer: answer: blue",
    "Ann, Bob",
    "'ann'..",
    "a;b<p>c,\nd",
    '"x".',
    "[1]",
    '{"a": NaN}',
    "nan",
    "it is 2.5, or 1e400",
    "def f(a):\n    c = a\n    return c",
    "the red fox runs 1",
    "\N{LATIN SMALL LETTER SHARP S}e\N{COMBINING ACUTE ACCENT} \N{CJK UNIFIED IDEOGRAPH-4E2D}",
    "ann, " * 4000,
    "word " * 5000,
)
TEXTS = st.sampled_from(AWKWARD) | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
LABELS = TEXTS.map(lambda text: text[:256]).filter(bool)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False, width=32) | st.sampled_from([-0.0, 1e308, 0.1, 2.5, 1 / 3])
SEEDS = st.integers(0, 5)


@st.composite
def boxes(draw: st.DrawFn) -> Boxes:
    found = []
    for at in draw(st.lists(st.integers(0, 3), max_size=4)):
        x, y = draw(st.sampled_from([0.0, 0.1, 1 / 3])), draw(st.sampled_from([0.0, 1.0, 2 / 3]))
        size = draw(st.sampled_from([0.0, 0.7, 4.1]))
        label, certain = draw(st.sampled_from(["", "car"])), draw(st.sampled_from([None, 0.25]))
        found.append(Box(x, y, x + size, y + 4, label, certain, frame_index=at))
    return Boxes(tuple(found))


def parts_of(extractor: str, metric: str) -> st.SearchStrategy[Part]:
    """Parts of the kind that is read, right ones and odd ones among them."""
    grey = metric in ("auc", "mse", "sad", "s_measure")
    match extractor:
        case "term" | "terms":
            return TEXTS.map(Text) | st.lists(LABELS, max_size=3).map(lambda labels: Choice.of(*labels))
        case "text":
            return TEXTS.map(Text) | TEXTS.map(lambda text: Text(text, "de", name="said"))
        case "number":
            return NUMBERS.map(Number) | TEXTS.map(Text)
        case "mask":
            return (
                SEEDS.map(mask)
                | SEEDS.map(lambda n: Mask(6, 7, run_lengths=(n, 42 - n)))
                | st.just(Mask(1, 1, mask(0).png))
            )
        case "boxes":
            return boxes()
        case "tensor":
            shaped = SEEDS.map(lambda n: Tensor.from_array(tensor(metric, n), name="out"))
            return (
                shaped
                | SEEDS.map(lambda n: Tensor.from_array(tensor("", n).astype(np.float16)))
                | st.just(Tensor.from_array(np.full((3, 4), np.nan)))
            )
        case "json":
            certain = SEEDS.map(lambda n: json.dumps([{**each, "score": 0.3 + n / 10} for each in instances(n)]))
            items = SEEDS.map(lambda n: json.dumps([{"type": "person", "text": f"Ann {n}"}]))
            return (
                certain | items | st.sampled_from(['"[1]"', "[NaN]", "1", "[]", "123456789012345678901234567890"])
            ).map(Json) | TEXTS.map(Text)
        case "image":
            return (
                SEEDS.map(lambda n: picture(n, grey=grey))
                | st.just(Image(b"no image", "image/bmp"))
                | st.just(Image.from_array(np.zeros((2, 2, 3), np.uint8), name="small"))
            )
        case "audio":
            return (
                SEEDS.map(sound)
                | st.just(Audio(b"no sound", "audio/opus"))
                | st.just(Audio.from_array(np.zeros(100), 8000))
            )
        case "video":
            uneven = SEEDS.map(lambda n: Video.from_array(clip(n).array(), frames_per_second=7))
            return SEEDS.map(lambda n: clip(n, grey=grey)) | uneven | st.just(Video(b"no clip", "video/mp4"))
    cloud = SEEDS.map(lambda n: PointCloud.from_array(randomly(n).normal(size=(8, 3)).astype(np.float32)))
    faces = np.array([[0, 1, 2]], np.int32)
    return cloud | SEEDS.map(lambda n: Mesh.from_array(randomly(n).normal(size=(5, 3)).astype(np.float32), faces))


def outcome_of(entry: Entry, sample: int) -> st.SearchStrategy[SampleOutcome]:
    reading = reading_of(entry)
    ended = (task_id(entry), str(sample))
    failed = st.builds(
        lambda state, reason, detail: SampleOutcome(*ended, state, (), reason, detail),
        st.sampled_from([State.REFUSED, State.INVALID, State.CRASHED]),
        st.sampled_from(["", "REFUSED", "OUTPUT_INVALID"]),
        st.sampled_from(["", "it would not"]),
    )
    several = st.lists(parts_of(reading.extractor, reading.metric) | TEXTS.map(Text), min_size=1, max_size=2)
    one = parts_of(reading.extractor, reading.metric).map(lambda part: [part])
    answered = (one | several).map(lambda parts: SampleOutcome(*ended, State.ANSWERED, tuple(parts)))
    return answered | answered | failed


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def tasks(self) -> dict[str, Any]:
        return {task["id"]: task for task in json.loads(self.out)["tasks"] if task["sample_count"]}


Echelon: TypeAlias = Callable[..., Ended]


@pytest.fixture
def echelon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Echelon:
    """Runs the command line to its end, in this process."""
    from echelon.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path / "cache"))

    def run(*arguments: Any) -> Ended:
        monkeypatch.setattr(sys, "argv", ["echelon", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    return run


@dataclass(frozen=True)
class Bench:
    """A tree with one task."""

    entry: Entry
    root: Path
    suite: GeneralBench


@pytest.fixture(scope="module")
def bench_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Bench]:
    """Makes the tree of an entry, once."""
    made: dict[str, Bench] = {}

    def make(name: str) -> Bench:
        if name not in made:
            entry, root = ENTRIES[name], tmp_path_factory.mktemp("bench")
            sheet, _, paradigm = entry.sheet.lower().partition("-")
            folder = root.joinpath(sheet, *filter(None, [paradigm]), f"task {len(made)}")
            folder.mkdir(parents=True)
            data = [
                {"id": n, "input": {"prompt": "?"}, "output": {"answer": reference(entry, n, folder)}}
                for n in range(COUNT)
            ]
            (folder / "annotation.json").write_text(json.dumps({"task": entry.task, "type": "", "data": data}))
            (root / "general-bench.yaml").write_text("quick: true\n")
            made[name] = Bench(entry, root, GeneralBench(root, root / "cache"))
        return made[name]

    return make


@contextmanager
def stored(bench: Bench, outcomes: tuple[SampleOutcome, ...], folder: Path) -> Iterator[tuple[TaskResult, Store]]:
    """The run's result, and the store that holds it."""
    about = {"folder": str(bench.root), "digest": bench.suite.info.digest, "tasks": [task_id(bench.entry)]}
    record = RunRecord(RUN, about, CARD, "here:1/mine", 0, {}, "2026")
    with Store(folder / "runs", write=True) as store:
        store.create(record)
        store.commit(RUN, Rows([(outcome, 1.0) for outcome in outcomes]))
        (result,) = result_of(bench.suite, record, store, sota={}).tasks
        yield result, store


def exported(bench: Bench, store: Store, folder: Path, form: PredictionForm) -> Exported:
    (found,) = write_predictions(bench.suite, RUN, store, bench.suite.tasks, folder, form)
    return found


def scored(bench: Bench, folder: Path) -> TaskResult:
    (result,) = score(bench.suite, folder, model="mine", sota={}).result.tasks
    return result


@pytest.mark.parametrize("name", ENTRIES)
@given(data=st.data())
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=8, phases=[Phase.generate])
def test_the_way_out_and_in_keeps_every_number(
    name: str, data: st.DataObject, bench_of: Callable[[str], Bench], tmp_path_factory: pytest.TempPathFactory
) -> None:
    bench, folder = bench_of(name), tmp_path_factory.mktemp("trip")
    outcomes = data.draw(st.tuples(*(outcome_of(bench.entry, n) for n in range(COUNT))))
    with stored(bench, outcomes, folder) as (ran, store):
        assert ran.not_computed == ""
        whole = exported(bench, store, folder / "echelon", PredictionForm.ECHELON)
        assert (whole.problem, whole.changed) == ("", ())
        again = scored(bench, folder / "echelon")
        assert (repr(again.score), again.metric_id, again.counts) == (repr(ran.score), ran.metric_id, ran.counts)
        for form in (PredictionForm.DOCUMENTED, PredictionForm.LIST):
            plain = exported(bench, store, folder / form, form)
            # What cannot be written leaves the task out; what reads otherwise is told; all else keeps its number.
            if not plain.problem and not plain.changed:
                assert repr(scored(bench, folder / form).score) == repr(ran.score)


@pytest.mark.parametrize("name", ENTRIES)
def test_failing_costs_the_same_when_it_comes_back(name: str, bench_of: Callable[[str], Bench], tmp_path: Path) -> None:
    bench = bench_of(name)
    states = [State.REFUSED, State.INVALID, State.CRASHED, State.REFUSED]
    task = task_id(bench.entry)
    outcomes = tuple(SampleOutcome(task, str(n), state, (), "WHY", "because") for n, state in enumerate(states))
    with stored(bench, outcomes, tmp_path) as (ran, store):
        exported(bench, store, tmp_path / "out", PredictionForm.ECHELON)
    again = scored(bench, tmp_path / "out")
    assert repr(again.score) == repr(ran.score)
    assert again.counts == ran.counts == {State.REFUSED: 2, State.INVALID: 1, State.CRASHED: 1}


def test_a_run_goes_out_in_three_forms(bench_of: Callable[[str], Bench], echelon: Echelon, tmp_path: Path) -> None:
    bench = bench_of("text token_f1")
    task = task_id(bench.entry)
    outcomes = (
        SampleOutcome(task, "0", State.ANSWERED, (Text("the red fox runs 0"),)),
        SampleOutcome(task, "1", State.REFUSED, (), "REFUSED", "it would not"),
        SampleOutcome(task, "2", State.ANSWERED, (Text("a"), Text("b"))),
        SampleOutcome(task, "3", State.ANSWERED, (Text(""),)),
    )
    with stored(bench, outcomes, tmp_path):
        pass
    written: dict[str, Any] = {}
    told: dict[str, str] = {}
    for form in PredictionForm:
        ended = echelon("export", "--store", "runs", "--predictions", form, "--form", form)
        assert ended.code == 0, ended.err
        (file,) = (tmp_path / form).rglob("prediction.json")
        written[form], told[form] = json.loads(file.read_text()), ended.out
    assert written["echelon"]["data"] == [
        {"id": 0, "prediction": "the red fox runs 0"},
        {"id": 1, "prediction": "", "state": "refused", "reason": "REFUSED", "detail": "it would not"},
        {"id": 2, "prediction": "a", "answer": [{"kind": "text", "value": "a"}, {"kind": "text", "value": "b"}]},
        {"id": 3, "prediction": ""},
    ]
    plain = [{"id": n, "prediction": said} for n, said in enumerate(("the red fox runs 0", "", "a", ""))]
    assert written["documented"]["data"] == plain
    assert set(written["documented"]) == set(written["echelon"]) == {"task", "skill", "type", "data"}
    assert written["list"] == plain
    assert "4 predictions, 2 of them empty" in told["echelon"]
    assert "read otherwise" not in told["echelon"]
    assert "2 read otherwise from this form, so that a score may differ: 1, 2" in told["documented"]
    assert told["list"].count("read otherwise") == 1
    counts = echelon("score", bench.root, "--predictions", "echelon", "--json").tasks[task]["counts"]
    assert counts == {"answered": 2, "invalid": 1, "refused": 1}
    counts = echelon("score", bench.root, "--predictions", "list", "--json").tasks[task]["counts"]
    assert counts == {"answered": 4}


def test_a_long_answer_lies_beside_the_predictions(bench_of: Callable[[str], Bench], tmp_path: Path) -> None:
    bench = bench_of("video psnr_video")
    frames = randomly(1).integers(0, 256, (3, 90, 90, 3), dtype=np.uint8)
    video = Video.from_array(frames, frames_per_second=7)
    outcomes = tuple(SampleOutcome(task_id(bench.entry), str(n), State.ANSWERED, (video,)) for n in range(COUNT))
    with stored(bench, outcomes, tmp_path) as (ran, store):
        exported(bench, store, tmp_path / "out", PredictionForm.ECHELON)
    (file,) = (tmp_path / "out").rglob("prediction.json")
    assert {item["answer"] for item in json.loads(file.read_text())["data"]} == {
        f"predictions/{n:05}.json" for n in range(COUNT)
    }
    assert scored(bench, tmp_path / "out").score == ran.score
    (file.parent / "predictions/00000.json").write_text("[oops")
    assert scored(bench, tmp_path / "out").counts[State.INVALID] == ran.counts[State.INVALID] + (
        1 if State.ANSWERED in ran.counts else 0
    )


@pytest.mark.parametrize("state", ["answered", "unavailable", "", None, ["refused"], 3])
def test_a_state_that_no_failed_sample_has_is_told(
    state: Any, bench_of: Callable[[str], Bench], echelon: Echelon, tmp_path: Path
) -> None:
    bench = bench_of("text token_f1")
    data = [{"id": n, "prediction": "the red fox runs 0", **({"state": state} if n == 1 else {})} for n in range(COUNT)]
    folder = tmp_path / "out" / task_id(bench.entry).partition("-")[0] / bench.entry.task
    folder.mkdir(parents=True)
    (folder / "prediction.json").write_text(json.dumps(data))
    ended = echelon("score", bench.root, "--predictions", "out", "--json")
    told = [each["message"] for each in json.loads(ended.out)["findings"] if each["sample"] == "1"]
    assert told[0] == f"has the state {state!r}, a failed sample's is one of refused, invalid, crashed"
    assert ended.tasks[task_id(bench.entry)]["counts"] == {"answered": 3, "invalid": 1}


@pytest.mark.parametrize(
    "value",
    ["[oops", '["\\ud800"]', "[1e999]", "[NaN]", f"[{'1' * 5000}]", "[" * 3000 + "]" * 3000, "[" * 950 + "]" * 950],
    ids=["broken", "surrogate", "infinite", "nan", "long", "deep", "nearly too deep"],
)
@pytest.mark.parametrize("part", [Json, Text])
def test_json_that_no_file_holds_goes_out_and_comes_in(
    part: type[Json] | type[Text], value: str, bench_of: Callable[[str], Bench], tmp_path: Path
) -> None:
    bench = bench_of("json span_f1")
    right = Json(json.dumps([{"type": "person", "text": "Ann 1"}]))
    task = task_id(bench.entry)
    outcomes = tuple(
        SampleOutcome(task, str(n), State.ANSWERED, (part(value) if n == 0 else right,)) for n in range(COUNT)
    )
    with stored(bench, outcomes, tmp_path) as (ran, store):
        for form in PredictionForm:
            assert exported(bench, store, tmp_path / form, form).problem == ""
    again = scored(bench, tmp_path / "echelon")
    assert (repr(again.score), again.counts) == (repr(ran.score), ran.counts)
    for form in (PredictionForm.DOCUMENTED, PredictionForm.LIST):
        assert sum(scored(bench, tmp_path / form).counts.values()) == COUNT


@pytest.mark.parametrize(
    ("name", "prediction"),
    [("number mae", "1" + "0" * 400), ("boxes m_viou", f"[[1{'0' * 400}, 1, 2, 2]]")],
)
def test_a_whole_number_beyond_any_float_costs_its_sample_alone(
    name: str, prediction: str, bench_of: Callable[[str], Bench], tmp_path: Path
) -> None:
    bench = bench_of(name)
    folder = tmp_path.joinpath(*task_id(bench.entry).split("-")[:2], bench.entry.task)
    folder.mkdir(parents=True)
    others = ", ".join(
        json.dumps({"id": n, "prediction": 1 if "number" in name else [[1, 1, 4, 4]]}) for n in range(1, COUNT)
    )
    (folder / "prediction.json").write_text(f'[{{"id": 0, "prediction": {prediction}}}, {others}]')
    assert scored(bench, tmp_path).counts == {State.INVALID: 1, State.ANSWERED: COUNT - 1}
