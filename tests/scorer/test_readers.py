"""Metrics of what is read from generated media: in themselves, over gRPC, and for every task of General-Bench."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import jiwer
import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.stats import pearsonr

from echelon.adapters import Audio, Choice, Image, Kind, Tensor, Text, Video
from echelon.adapters.errors import SettingsError
from echelon.cli import echelon as commands
from echelon.scorer.errors import InvalidSuiteError, NotComputedError
from echelon.scorer.general_bench.catalogue import Catalogue, Entry, catalogue
from echelon.scorer.general_bench.loader import CLOSED, GeneralBench
from echelon.scorer.general_bench.mapping import Labels, reading_of, task_id
from echelon.scorer.general_bench.submissions import stated_catalogue
from echelon.scorer.general_bench.validation import validate
from echelon.scorer.general_bench.workbooks import read
from echelon.scorer.instruments import Entry as Instrument
from echelon.scorer.instruments import Instruments, Listing
from echelon.scorer.metrics.metric import InvalidAnswer, Metric, RatioMetric
from echelon.scorer.metrics.registry import metric

WORDS = ("one", "two", "three", "four", "five", "six")
RATE, WORD_S = 8000, 0.05
EARS = Instrument("acme-ears", {"words": list(WORDS)})


def spoken(*words: str) -> Audio:
    """The words as the vendor's reader hears them: a tone each."""
    time = np.arange(int(RATE * WORD_S)) / RATE
    tones = [0.5 * np.sin(2 * np.pi * (300 + 100 * WORDS.index(word)) * time) for word in words]
    return Audio.from_array(np.concatenate([*tones, np.zeros(len(time))]), RATE)


def hearing(name: str, role: str = "transcript") -> Metric:
    return metric(name, instruments=Instruments(Listing(readers={role: EARS})))


def sentences(seed: int, count: int = 20) -> list[tuple[str, ...]]:
    random = Random(seed)
    return [tuple(random.choices(WORDS, k=random.randint(3, 6))) for _ in range(count)]


def text(words: Sequence[str]) -> Text:
    return Text(" ".join(words))


def line(part: Audio | Image, **read: Any) -> str:
    return json.dumps({"sha256": sha256(part.data).hexdigest(), **read}) + "\n"


def given(folder: Path, name: str, role: str, lines: str) -> Metric:
    """The metric, with a file of these readings at hand."""
    (folder / "readings.jsonl").write_text(lines, encoding="utf-8")
    settings = {"path": "readings.jsonl", "name": "a network"}
    listing = {"readers": {role: {"plugin": "given", "settings": settings}}}
    (folder / "instruments.yaml").write_text(json.dumps(listing))
    return metric(name, instruments=Instruments.read(folder / "instruments.yaml"))


def test_wer_of_speech_is_jiwers_of_what_is_heard(vendor: None) -> None:
    pairs = list(zip(sentences(1), sentences(2), strict=True))
    said, wanted = zip(
        *((" ".join(a), " ".join(b)) for a, b in pairs if jiwer.wer(" ".join(b), " ".join(a)) <= 1), strict=True
    )
    of = hearing("wer_speech")
    rows = [of.sample(spoken(*a.split()), [Text(b)]) for a, b in zip(said, wanted, strict=True)]
    assert of.finish(rows) == pytest.approx(jiwer.wer(list(wanted), list(said)))
    assert 0.5 < of.finish(rows) < 1


@pytest.mark.parametrize(("name", "behind"), [("wer_speech", "wer"), ("cer_speech", "cer"), ("cider_speech", "cider")])
def test_a_metric_of_speech_is_the_metric_of_the_transcripts(vendor: None, name: str, behind: str) -> None:
    of, plain = hearing(name), metric(behind)
    samples = list(zip(sentences(3), sentences(4), sentences(5), strict=True))
    heard = [of.sample(spoken(*said), [text(one), text(other)]) for said, one, other in samples]
    written = [plain.sample(text(said), [text(one), text(other)]) for said, one, other in samples]
    assert heard == written
    assert of.finish(heard) == plain.finish(written) > 0
    assert [of.worst([text(one)]) for _, one, _ in samples] == [plain.worst([text(one)]) for _, one, _ in samples]
    assert (of.range, of.unit, of.higher_is_better) == (plain.range, plain.unit, plain.higher_is_better)
    assert isinstance(of, RatioMetric) == isinstance(plain, RatioMetric)
    assert of.id.startswith(name + plain.variant)


def test_a_reference_that_is_a_sound_is_heard_too(vendor: None) -> None:
    of = hearing("wer_speech")
    said, wanted = ("one", "two", "six"), ("one", "three", "six")
    assert of.sample(spoken(*said), [spoken(*wanted)]) == of.sample(spoken(*said), [text(wanted)]) == (1.0, 3.0)
    assert of.worst([spoken(*wanted)]) == (3.0, 3.0)
    # Both answers, and the reference once.
    assert getattr(of.instruments.reader("transcript"), "heard", None) == 3


def test_silence_has_every_word_wrong_and_is_an_answer(vendor: None) -> None:
    of = hearing("wer_speech")
    assert of.sample(Audio.from_array(np.zeros(4000), RATE), [Text("one two")]) == (2.0, 2.0)


def test_the_id_names_the_reader_and_its_digest(vendor: None) -> None:
    other = Listing(readers={"transcript": Instrument("acme-ears", {"words": ["ba", "be"]})})
    ids = {hearing("wer_speech").id, metric("wer_speech", instruments=Instruments(other)).id}
    assert len(ids) == 2
    assert all(re.search(r"^wer_speech/corpus@2;.*;transcript=acme ears:[0-9a-f]{64}$", each) for each in ids)


READ = ["accuracy_read", "cer_speech", "cider_speech", "e_accuracy_read", "pcc_read", "wer_speech"]


@pytest.mark.parametrize("name", READ)
def test_without_a_reader_nothing_is_computed_and_the_reason_says_what_is_missing(name: str) -> None:
    of = metric(name)
    with pytest.raises(NotComputedError, match=r"no reader for '\w+': name one under `readers`.*--instruments"):
        _ = of.id
    with pytest.raises(NotComputedError, match="no reader"):
        of.sample(spoken("one"), [Text("one")])


@pytest.mark.parametrize("name", READ)
def test_what_is_no_medium_is_not_read(name: str) -> None:
    assert not any(metric(name).takes(kind) for kind in (Kind.TEXT, Kind.CHOICE, Kind.TENSOR))
    with pytest.raises(InvalidSuiteError, match="not text"):
        metric(name).sample(Text("one"), [Text("one")])


def test_a_sound_that_cannot_be_decoded_is_an_invalid_answer_and_as_a_reference_the_suites_fault(vendor: None) -> None:
    of, noise = hearing("wer_speech"), Audio(b"RIFF no sound", "audio/wav")
    with pytest.raises(InvalidAnswer):
        of.sample(noise, [Text("one")])
    with pytest.raises(InvalidSuiteError, match="a reference cannot be used"):
        of.sample(spoken("one"), [noise])


def test_a_reader_that_fails_or_reads_something_else_leaves_the_task_not_computed(vendor: None) -> None:
    whistle = Audio.from_array(np.sin(2 * np.pi * 3000 * np.arange(400) / RATE), RATE)
    with pytest.raises(NotComputedError, match="acme ears failed: no word sounds like 3000 Hz"):
        hearing("wer_speech").sample(whistle, [Text("one")])
    with pytest.raises(NotComputedError, match="acme ears reads text from audio, e_accuracy_read compares choice"):
        hearing("e_accuracy_read", "class").sample(spoken("one"), [Choice.of("one")])


def picture(seed: int) -> Image:
    return Image.from_array(np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8))


def sound(seed: int) -> Audio:
    return Audio.from_array(np.random.default_rng(seed).uniform(-0.5, 0.5, 160), RATE)


@pytest.mark.parametrize(("name", "made"), [("accuracy_read", picture), ("e_accuracy_read", sound)])
def test_the_class_that_is_read_is_right_but_for_case_and_spaces(
    tmp_path: Path, name: str, made: Callable[[int], Audio | Image]
) -> None:
    labels = ["Tabby Cat", "dog", "Dog.", "golden fish"]
    of = given(tmp_path, name, "class", "".join(line(made(n), label=each) for n, each in enumerate(labels)))
    wanted = ["tabby  cat", "dog", "dog", "goldfish"]
    rows = [of.sample(made(n), [Choice.of(each)]) for n, each in enumerate(wanted)]
    assert of.finish(rows) == 0.75
    # A reference may be a picture or a sound itself.
    assert of.sample(made(1), [made(2)]) == (1.0, 1.0)
    digest = sha256((tmp_path / "readings.jsonl").read_bytes()).hexdigest()
    assert of.id == f"{name}@1;match=folded;class=a network:{digest}"


def test_the_correlation_of_series_that_are_read_is_scipys(tmp_path: Path) -> None:
    random = np.random.default_rng(5)
    read_, wanted = random.normal(size=(2, 8, 12))
    of = given(
        tmp_path, "pcc_read", "series", "".join(line(sound(n), series=each.tolist()) for n, each in enumerate(read_))
    )
    rows = [of.sample(sound(n), [Tensor.from_array(each)]) for n, each in enumerate(wanted)]
    expected = np.mean([pearsonr(*pair).statistic for pair in zip(read_, wanted, strict=True)])
    assert of.finish(rows) == pytest.approx(float(expected), rel=1e-9)
    assert of.sample(sound(3), [sound(3)])[0] == pytest.approx(1)
    with pytest.raises(InvalidAnswer, match="the series has 12 numbers, 3 are wanted"):
        of.sample(sound(0), [Tensor.from_array(np.arange(3.0))])


def test_an_answer_that_nobody_has_read_leaves_the_task_not_computed(tmp_path: Path) -> None:
    of = given(tmp_path, "wer_speech", "transcript", line(sound(0), text="one"))
    assert of.sample(sound(0), [Text("ONE")]) == (0.0, 1.0)
    told = f"a network has no reading of the audio with SHA-256 {sha256(sound(1).data).hexdigest()}"
    with pytest.raises(NotComputedError, match=told):
        of.sample(sound(1), [Text("one")])


def test_frames_have_no_digest_to_be_looked_up_by(tmp_path: Path) -> None:
    of = given(tmp_path, "accuracy_read", "class", line(picture(0), label="cat"))
    frames = Video.from_array(np.zeros((2, 4, 5, 3), np.uint8), frames_per_second=5)
    with pytest.raises(NotComputedError, match="a network has no reading of video that is no single file or text"):
        of.sample(frames, [Choice.of("cat")])


A = "a" * 64


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([{"sha256": A, "text": "x"}, "cut"], r"readings.jsonl, line 2: .*`object`, got `str`"),
        ([{"sha256": "abc", "text": "x"}], "line 1: .*sha256"),
        ([{"sha256": A, "text": "x"}, {"sha256": A}], "line 2: 'text', 'label' or 'series' is wanted, one of them"),
        ([{"sha256": A, "text": "", "label": "x"}], "line 1: .* one of them"),
        ([{"sha256": A, "series": []}], r"line 1: .*length >= 1.*series"),
        ([{"sha256": A, "series": [1, None]}], r"line 1: .*series"),
        ([{"sha256": A, "transcript": "x"}], "line 1: .*unknown field `transcript`"),
        ([{"sha256": A, "text": "x"}, {"sha256": A.upper(), "text": "y"}], "line 2: a+ has another reading further up"),
    ],
)
def test_a_file_of_readings_that_cannot_be_read_is_refused_by_line(
    tmp_path: Path, lines: list[Any], reason: str
) -> None:
    with pytest.raises(SettingsError, match=reason):
        given(tmp_path, "wer_speech", "transcript", "\n".join(map(json.dumps, lines))).sample(sound(0), [Text("one")])


def test_a_file_of_readings_may_say_a_thing_twice_and_have_empty_lines(tmp_path: Path) -> None:
    lines = line(sound(0), text="one")
    assert given(tmp_path, "wer_speech", "transcript", f"\ufeff{lines}\n{lines}").sample(sound(0), [Text("one")])


def test_a_missing_file_of_readings_is_told(tmp_path: Path) -> None:
    readers = {"transcript": Instrument("given", {"path": str(tmp_path / "gone.jsonl")})}
    with pytest.raises(SettingsError, match=r"cannot read .*gone\.jsonl: No such file"):
        Instruments(Listing(readers=readers)).reader("transcript")


MANIFEST = """
name: voices
version: "1"
tasks:
  - {id: repeat, title: Repeat, modality: audio, paradigm: generation, skill: speech, instruction: "Repeat it",
     output: audio, extractor: audio, metric: wer_speech, chance: 1.0, samples: repeat.jsonl}
"""


def make_suite(folder: Path) -> Path:
    """Sounds to be repeated; what the vendor's model repeats differs from what was wanted by some words."""
    folder.mkdir()
    (folder / "suite.yaml").write_text(MANIFEST)
    lines = []
    for n, (said, wanted) in enumerate(zip(sentences(6), sentences(7), strict=True)):
        (folder / f"{n}.wav").write_bytes(spoken(*said).data)
        parts = [{"kind": "audio", "path": f"{n}.wav"}]
        lines.append({"id": str(n), "parts": parts, "reference": {"kind": "text", "value": " ".join(wanted)}})
    (folder / "repeat.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def echelon(*arguments: str | Path) -> Result:
    return CliRunner().invoke(commands, [str(argument) for argument in arguments])


def test_a_reference_that_cannot_be_compared_is_a_fault_of_the_suite(tmp_path: Path) -> None:
    suite = make_suite(tmp_path / "suite")
    lines = (suite / "repeat.jsonl").read_text().splitlines()
    spoilt = {**json.loads(lines[0]), "reference": {"kind": "number", "value": 3}}
    heard = {**json.loads(lines[1]), "reference": {"kind": "audio", "path": "0.wav"}}
    (suite / "repeat.jsonl").write_text("\n".join([json.dumps(spoilt), json.dumps(heard), *lines[2:]]))
    checked = echelon("suites", "validate", suite)
    assert checked.exit_code == 1
    told = "the reference does not score: wer_speech compares text, also read from audio, and not number"
    assert [told in fault for fault in checked.stdout.splitlines()] == [True]


def test_a_run_is_read_by_a_vendors_reader_without_asking_the_model_again(tmp_path: Path, processes: Any) -> None:
    suite, store = make_suite(tmp_path / "suite"), tmp_path / "runs"
    assert "is in order" in echelon("suites", "validate", suite).output
    process, address = processes("--model", "parrot=acme")
    ran = echelon("run", suite, "--model", f"{address}/parrot", "--store", store, "--json", "--quiet")
    (unread,) = json.loads(ran.output)["tasks"]
    assert unread["score"] is None
    assert "there is no reader for 'transcript'" in unread["not_computed"]
    process.kill()

    (tmp_path / "instruments.yaml").write_text(
        json.dumps({"readers": {"transcript": {"plugin": "acme-ears", "settings": {"words": WORDS}}}})
    )
    given_ = ("--instruments", tmp_path / "instruments.yaml")
    page = Path(echelon("report", "--store", store, *given_).output.strip()).read_text()
    heard = [" ".join(said) for said in sentences(6)]
    assert [said in page.partition("read as")[2] for said in heard] == [True] * 3 + [False] * 17
    report = echelon("report", "--store", store, "--json", *given_)
    (task,) = json.loads(report.output)["tasks"]
    behind = metric("wer")
    rows = [behind.sample(text(said), [text(wanted)]) for said, wanted in zip(sentences(6), sentences(7), strict=True)]
    assert task["score"] == behind.finish(rows)
    assert ";transcript=acme ears:" in task["metric"]


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


class Case(NamedTuple):
    """A task of General-Bench whose answers are read."""

    modality: str
    metric: str
    wanted: list[str]
    """The references."""
    made: Callable[[int], Audio | Image]
    """The answers."""
    read: dict[str, Any]
    """What is read from every answer."""
    score: float


COUNT = 4
CASES = {
    "TextToSpeech": Case("audio", "wer_speech", ["one two"] * COUNT, sound, {"text": "one six"}, 0.5),
    "ImageToSpeech": Case(
        "audio", "cider_speech", [f"{n} walks back home" for n in "1234"], sound, {"text": "1 walks back home"}, 2.5
    ),
    "PianoToOrchestrationGeneration": Case(
        "audio", "e_accuracy_read", ["Brass", "wind"] * 2, sound, {"label": "brass"}, 0.5
    ),
    "PopMusicGeneration": Case("audio", "pcc_read", ["up.npy"] * COUNT, sound, {"series": [3.0, 5.0, 7.0]}, 1.0),
    "EEG-based Image Generation": Case(
        "image", "accuracy_read", ["cat", "dog", "dog", "dog"], picture, {"label": "Cat"}, 0.25
    ),
}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A task of each sort that wants a reader, with predictions; beside it a file of instruments."""
    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path / "cache"))
    lines = {"text": "", "label": "", "series": ""}
    for at, (name, case) in enumerate(CASES.items()):
        task = tmp_path / "bench" / case.modality / "generation" / name
        items = [
            {"id": n, "input": {"prompt": "Make it."}, "output": {"answer": each}} for n, each in enumerate(case.wanted)
        ]
        write(task / "annotation.json", {"task": name, "data": items})
        if "up.npy" in case.wanted:
            np.save(task / "up.npy", np.arange(3.0))
        made = [case.made(100 * at + n) for n in range(COUNT)]
        files = [
            write(task / f"out/{n}.{each.media_type.rpartition('/')[2]}", each.data) for n, each in enumerate(made)
        ]
        predicted = [{"id": n, "prediction": f"out/{file.name}"} for n, file in enumerate(files)]
        write(task / "prediction.json", predicted)
        lines[next(iter(case.read))] += "".join(line(each, **case.read) for each in made)
    roles = {"transcript": "text", "class": "label", "series": "series"}
    for role, field in roles.items():
        write(tmp_path / f"{role}.jsonl", lines[field].encode())
    readers = {role: {"plugin": "given", "settings": {"path": f"{role}.jsonl", "name": role}} for role in roles}
    write(tmp_path / "instruments.yaml", {"readers": readers})
    return tmp_path / "bench"


def scored(*arguments: str | Path) -> dict[str, Any]:
    ended = echelon("score", *arguments, "--json")
    assert ended.exit_code in (0, 1), ended.output
    tasks = json.loads(ended.stdout)["tasks"]
    return {task["title"].strip(): task for task in tasks if task["title"].strip() in CASES}


def test_general_bench_scores_sounds_and_pictures_by_what_a_file_says_of_them(bench: Path) -> None:
    assert validate(bench).faults == []
    without = scored(bench)
    assert {task["score"] for task in without.values()} == {None}
    assert all("there is no reader for" in task["not_computed"] for task in without.values())
    tasks = scored(bench, "--instruments", bench.parent / "instruments.yaml")
    assert {name: task["not_computed"] for name, task in tasks.items()} == dict.fromkeys(CASES)
    assert {name: task["metric"].partition("@")[0].partition("/")[0] for name, task in tasks.items()} == {
        name: case.metric for name, case in CASES.items()
    }
    assert {name: task["score"] for name, task in tasks.items()} == pytest.approx(
        {name: case.score for name, case in CASES.items()}
    )


def test_what_should_be_read_may_be_a_medium_and_is_never_the_prompt(bench: Path) -> None:
    speech = bench / "audio/generation/TextToSpeech"
    write(speech / "annotation.json", [{"id": 0, "input": {"prompt": "one two"}, "output": {"audio": "out/0.wav"}}])
    music = bench / "audio/generation/PopMusicGeneration"
    write(music / "annotation.json", [{"id": 0, "input": {"prompt": "one two"}}])
    suite = GeneralBench(bench, bench.parent / "cache")
    found = {task.title: task for task in suite.tasks}
    (sample,) = suite.samples(found["TextToSpeech"])
    assert [part.kind for part in sample.references] == [Kind.AUDIO]
    assert found["PopMusicGeneration"].not_computed == CLOSED


def test_a_reference_of_another_medium_takes_its_task_out_alone(bench: Path) -> None:
    speech = bench / "audio/generation/TextToSpeech"
    write(speech / "gold.png", picture(0).data)
    write(speech / "annotation.json", [{"id": 0, "input": {"prompt": "Speak."}, "output": {"image": "gold.png"}}])
    problems = {task.title: task.not_computed for task in GeneralBench(bench, bench.parent / "cache").tasks}
    assert "item 0: gold.png is no audio" in problems["TextToSpeech"]
    assert problems["ImageToSpeech"] == ""


def test_listed_classes_make_a_chance(bench: Path) -> None:
    name = "EEG-based Image Generation"
    write(bench / "general-bench.yaml", {"labels": {name: ["cat", "dog", "cow", "hen"]}})
    chances = {task.title.strip(): task.chance for task in GeneralBench(bench, bench.parent / "cache").tasks}
    assert chances[name] == 0.25
    # A correlation of 0 is had for nothing, and a wrong word costs no more than none.
    assert (chances["PopMusicGeneration"], chances["TextToSpeech"]) == (0.0, 1.0)


def test_what_is_exported_of_a_run_is_what_readings_are_looked_up_by(
    bench: Path, processes: Any, tmp_path: Path
) -> None:
    task = bench / "audio/generation/VoiceConversion"
    said = [("one", "two"), ("three", "six")]
    items = [
        {"id": n, "input": {"audio_file": f"{n}.wav", "prompt": "Speak."}, "output": {"text": "one two"}}
        for n in range(len(said))
    ]
    write(task / "annotation.json", items)
    for n, words in enumerate(said):
        write(task / "audios" / f"{n}.wav", spoken(*words).data)
    _, address = processes("--model", "parrot=acme")
    store = ("--store", tmp_path / "runs")
    chosen = ("--task", "audio-generation-voice-conversion")
    echelon("run", bench, "--model", f"{address}/parrot", *store, *chosen, "--quiet")
    exported = echelon("export", "--predictions", tmp_path / "out", *store)
    assert exported.exit_code == 0, exported.output
    files = sorted((tmp_path / "out").rglob("*.wav"))
    assert len(files) == len(said)
    digests = [sha256(file.read_bytes()).hexdigest() for file in files]
    read_ = [{"sha256": digest, "text": "one two"} for digest in digests]
    write(tmp_path / "transcript.jsonl", "\n".join(map(json.dumps, read_)).encode())
    report = echelon("report", *store, "--json", "--instruments", tmp_path / "instruments.yaml")
    (found,) = [each for each in json.loads(report.stdout)["tasks"] if each["sample_count"]]
    assert (found["score"], found["not_computed"]) == (0.0, None)


FOLDER = os.environ.get("ECHELON_GENERAL_BENCH")
UNLISTED = """
    3D Aircrafts Part Segmentation; 3D Furniture Part Segmentation; 3D Indoor Appliance Semantic Segmentation;
    3D Outdoor Semantic Segmentation; 3D Personal Item Part Segmentation; 3D Tableware Part Segmentation;
    3D Vehicle Part Segmentation; 3D Weapon Part Segmentation; Bacteria Segmentation; BobRoss Painting Segmentation;
    Brain FLAIR Abnormality Segmentation; COVID-19 CT Scan Lesion Segmentation; Flood Area Segmentation;
    Forest Aerial Images for Segmentation; Hubmap Organ Segmentation; Indoor Semantic Segmentation; Lung segmentation;
    Pedestrian Semantic Segmentation; People Clothing Segmentation; RGBD Semantic Segmentation; Road Crack Detection;
    Road Scene Panoptic Segmentation; Road Semantic Segmentation; Text Manipulation Region Matting;
    Tuberculosis X-ray Segmentation; Vehicle Semantic Segmentation
"""
"""The tasks whose classes the benchmark does not list beside their names."""


def tables() -> list[Catalogue]:
    """The catalogue, and the benchmark's own sheet where it is at hand."""
    books = [read(Path(FOLDER) / "sota_result.xlsx")] if FOLDER else []
    return [catalogue(), *(stated_catalogue(book)[0] for book in books)]


class Everything(dict[str, Instrument]):
    """An instrument for every role."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument

    def __contains__(self, role: object) -> bool:
        return True

    def __getitem__(self, role: str) -> Instrument:
        return self.instrument


@pytest.fixture
def instruments(tmp_path: Path) -> Instruments:
    (tmp_path / "none.jsonl").write_text("")
    given_, found = Instrument("given", {"name": "net", "digest": "none"}), {"path": str(tmp_path / "none.jsonl")}
    reading = Instrument("given", {"name": "net", **found})
    return Instruments(Listing(Everything(given_), Everything(given_), Everything(reading)))


def needs(entry: Entry, instruments: Instruments) -> tuple[str, ...]:
    """What a task's metric needs beside answers and references: roles of instruments, or labels."""
    reading = reading_of(entry)
    if reading.problem:
        assert re.search(
            r"needs the task's labels, .*; list them under 'labels' in general-bench.yaml$", reading.problem
        )
        assert reading_of(entry, Labels(("a", "b"), 0.5)).problem == ""
        return ("labels",)
    measured = metric(reading.metric, reading.worst, instruments=instruments)
    assert measured.takes(reading.kind)
    return tuple(re.findall(r";(\w+)=net:", measured.id))


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)
def test_all_699_tasks_reach_a_metric_or_lack_a_list_of_labels_alone(
    table: Catalogue, instruments: Instruments
) -> None:
    needed = {task_id(entry): needs(entry, instruments) for entry in table.entries}
    assert len(needed) == 699
    unlisted = {entry.task for entry in table.entries if needed[task_id(entry)] == ("labels",)}
    assert unlisted == {name.strip() for name in " ".join(UNLISTED.split()).split(";")}
    read_ = {
        entry.task.strip() for entry in table.entries if {*needed[task_id(entry)]} & {"transcript", "class", "series"}
    }
    assert len(read_) == 9
    assert {*CASES} < read_


PAGE = Path(__file__).parents[2] / "docs" / "general-bench.md"


def test_the_page_counts_the_tasks_by_what_they_need_as_they_are(instruments: Instruments) -> None:
    counted = Counter(", ".join(needs(entry, instruments)) or "nothing more" for entry in catalogue().entries)
    rows = re.findall(r"^\| ([^|]+?) \| (\d+) \|", PAGE.read_text(), re.MULTILINE)
    assert {row[0].replace("`", "").rpartition(": ")[2]: int(row[1]) for row in rows} == counted
