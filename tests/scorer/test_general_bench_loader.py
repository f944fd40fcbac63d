"""Folders of General-Bench, laid out in all the ways in which people have them."""

import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import stat
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echelon.adapters import Audio, Box, Boxes, Choice, Image, Kind, Part, Tensor, Text, Video
from echelon.adapters.file_digests import FileDigest, FileDigests
from echelon.scorer.errors import InvalidSuiteError
from echelon.scorer.extract import extract
from echelon.scorer.general_bench.catalogue import catalogue
from echelon.scorer.general_bench.loader import ABSENT, CLOSED, GeneralBench, is_general_bench
from echelon.scorer.general_bench.mapping import reading_of, sota_of, task_id
from echelon.scorer.general_bench.naming import key
from echelon.scorer.general_bench.validation import validate
from echelon.scorer.metrics.registry import metric
from echelon.scorer.suites.suite import Sample, Task

Write = Callable[[Path], None]

ACCENTS: dict[str, Any] = {
    "task": "Accent Classification",
    "type": "classification of sounds",
    "data": [
        {"id": n, "input": {"audio_file": f"{n}.wav", "prompt": "Which accent?"}, "output": {"text": word}}
        for n, word in enumerate(["Scottish", "Irish", "Welsh"])
    ],
}
VIDEO_QA = next(e.task for e in catalogue().entries if (e.sheet, e.metric) == ("Video-Comprehension", "Acc"))
ACCENT_ID = "audio-comprehension-accent-classification"


def sound(seed: int) -> bytes:
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, 160)
    return Audio.from_array(noise, 16_000).data


def picture(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), dtype=np.uint8)
    return Image.from_array(pixels).data


def write(path: Path, content: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


def accents(task: Path, *, annotation: str = "annotation.json", media: str = "audios/", content: Any = ACCENTS) -> None:
    """The accent task in the folder `task`."""
    write(task / annotation, content)
    for n in range(3):
        write(task / f"{media}{n}.wav", sound(n))


def zipped(folder: Path, archive: Path) -> None:
    with zipfile.ZipFile(archive, "w") as out:
        for file in sorted(folder.rglob("*")):
            out.write(file, file.relative_to(folder).as_posix())
    shutil.rmtree(folder)


def tarred(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as out:
        out.add(folder, ".")
    shutil.rmtree(folder)


def opened(root: Path, tmp_path: Path) -> GeneralBench:
    return GeneralBench(root, tmp_path / "cache")


def task_of(suite: GeneralBench, task: str) -> Task:
    return next(each for each in suite.tasks if each.id == task)


def samples(suite: GeneralBench, task: str) -> list[Sample]:
    return list(suite.samples(task_of(suite, task)))


def plain(root: Path) -> None:
    accents(root / "Audio" / "comprehension" / "Accent-Classification")


def zip_of_task(root: Path) -> None:
    accents(root / "made")
    (root / "audio" / "comprehension").mkdir(parents=True)
    zipped(root / "made", root / "audio" / "comprehension" / "AccentClassification.zip")


def zip_with_the_folder_in_it(root: Path) -> None:
    accents(root / "made" / "AccentClassification")
    (root / "audio" / "comprehension").mkdir(parents=True)
    zipped(root / "made", root / "audio" / "comprehension" / "AccentClassification.zip")


def tar_of_a_paradigm(root: Path) -> None:
    accents(root / "made" / "accent_classification")
    (root / "audio" / "comprehension").mkdir(parents=True)
    tarred(root / "made", root / "audio" / "comprehension" / "open.tar.gz")


def media_zip(root: Path) -> None:
    task = root / "audio" / "comprehension" / "AccentClassification"
    accents(root / "made")
    (root / "made" / "annotation.json").rename(root / "annotation.json")
    task.mkdir(parents=True)
    (root / "annotation.json").rename(task / "annotation.json")
    zipped(root / "made", task / "audios.zip")


LAYOUTS: dict[str, Write] = {
    "as documented": plain,
    "lower case, camel case": lambda root: accents(root / "audio" / "comprehension" / "AccentClassification"),
    "snake case": lambda root: accents(root / "AUDIO" / "Comprehension" / "accent_classification"),
    "doubled level": lambda root: accents(root / "audio/comprehension/comprehension/AccentClassification"),
    "json level": lambda root: accents(root / "audio/comprehension/json/AccentClassification"),
    "json in the task": lambda root: accents(
        root / "audio/comprehension/AccentClassification", annotation="json/accent_classification.json"
    ),
    "named after the task": lambda root: accents(
        root / "audio/comprehension/AccentClassification", annotation="AccentClassification.json"
    ),
    "the only document": lambda root: accents(root / "audio/comprehension/AccentClassification", annotation="x.json"),
    "media beside": lambda root: accents(root / "audio/comprehension/AccentClassification", media=""),
    "a bare list": lambda root: accents(root / "audio/comprehension/AccentClassification", content=ACCENTS["data"]),
    "zip": zip_of_task,
    "zip with the folder": zip_with_the_folder_in_it,
    "open.tar.gz": tar_of_a_paradigm,
    "zip of media": media_zip,
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_every_layout_gives_the_same_samples(layout: Write, tmp_path: Path) -> None:
    layout(tmp_path / "bench")
    suite = opened(tmp_path / "bench", tmp_path)
    assert suite.gaps == ()
    task = task_of(suite, ACCENT_ID)
    assert task.not_computed == ""
    assert suite.sample_ids(task) == ("0", "1", "2")
    first = samples(suite, ACCENT_ID)[0]
    assert first.instruction == "Which accent?"
    assert [part.kind for part in first.parts] == [Kind.AUDIO]
    assert first.references == (Choice.of("Scottish"),)
    assert task.labels == ("Irish", "Scottish", "Welsh")
    assert task.chance == pytest.approx(1 / 3)


def test_the_digest_knows_neither_layout_nor_packing(tmp_path: Path) -> None:
    digests = set()
    for name in ("as documented", "doubled level", "zip", "open.tar.gz", "named after the task"):
        LAYOUTS[name](tmp_path / name)
        digests.add(opened(tmp_path / name, tmp_path).info.digest)
    assert len(digests) == 1


def test_the_digest_changes_with_media_and_annotation_but_not_with_predictions(tmp_path: Path) -> None:
    plain(tmp_path)
    task = tmp_path / "Audio" / "comprehension" / "Accent-Classification"
    first = opened(tmp_path, tmp_path).info.digest
    write(task / "prediction.json", [])
    write(task / ".cache" / "x", b"1")
    assert opened(tmp_path, tmp_path).info.digest == first
    write(task / "audios" / "0.wav", sound(9))
    second = opened(tmp_path, tmp_path).info.digest
    write(task / "annotation.json", {**ACCENTS, "source": "elsewhere"})
    assert len({first, second, opened(tmp_path, tmp_path).info.digest}) == 3


def test_digests_of_files_are_remembered_until_anything_about_them_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, memory = write(tmp_path / "a.wav", b"first"), tmp_path / "cache" / "digests.sqlite"

    def taken() -> FileDigest:
        with FileDigests(memory) as digests:
            return digests.of(file)

    first = taken()
    # What has just changed may change again, so it is remembered only later on.
    later = time.time() + 10
    monkeypatch.setattr(time, "time", lambda: later)
    assert taken() == first
    with closing(sqlite3.connect(memory)) as opened_memory:
        opened_memory.execute("UPDATE files SET sha256 = 'remembered'")
        opened_memory.commit()
    assert taken() == FileDigest(5, "remembered")
    write(file, b"other")
    assert taken().sha256 == hashlib.sha256(b"other").hexdigest()


def test_a_memory_of_digests_that_fails_costs_nothing_but_time(tmp_path: Path) -> None:
    file = write(tmp_path / "a.wav", b"first")
    for memory in (write(tmp_path / "no database", b"text"), write(tmp_path / "in the way", b"") / "digests.sqlite"):
        with FileDigests(memory) as digests:
            assert digests.of(file).sha256 == hashlib.sha256(b"first").hexdigest()


def test_audio_paths_may_have_backslashes(tmp_path: Path) -> None:
    items = [
        {**item, "input": {"audio_file": f".\\audios\\{item['id']}.wav", "prompt": "?"}} for item in ACCENTS["data"]
    ]
    accents(tmp_path / "audio/comprehension/AccentClassification", content={"data": items})
    assert len(samples(opened(tmp_path, tmp_path), ACCENT_ID)) == 3


def test_a_task_may_be_a_lone_document(tmp_path: Path) -> None:
    item = {"id": 1, "input": {"question": "Who?"}, "output": {"answer": "Ann"}}
    write(tmp_path / "nlp" / "TriviaQA.json", {"type": "OpenQA", "data": [item]})
    suite = opened(tmp_path, tmp_path)
    assert samples(suite, "nlp-trivia-qa")[0].references == (Text("Ann"),)
    digest = suite.info.digest
    write(tmp_path / "nlp" / "other" / "x.txt", b"of another task")
    assert opened(tmp_path, tmp_path).info.digest == digest


def test_of_several_documents_of_an_audio_task_the_first_is_taken_and_told(tmp_path: Path) -> None:
    accents(tmp_path / "audio/comprehension/AccentClassification", annotation="a.json")
    write(tmp_path / "audio/comprehension/AccentClassification/b.json", [])
    suite = opened(tmp_path, tmp_path)
    assert len(suite.sample_ids(task_of(suite, ACCENT_ID))) == 3
    assert "first of 2 JSON files" in suite.gaps[0]


def test_a_part_of_the_tree_is_the_benchmark_of_that_part(tmp_path: Path) -> None:
    plain(tmp_path)
    whole, audio = opened(tmp_path, tmp_path), opened(tmp_path / "Audio", tmp_path)
    side = opened(tmp_path / "Audio" / "comprehension", tmp_path)
    assert [len(suite.tasks) for suite in (whole, audio, side)] == [699, 44, 24]
    assert [suite.info.name for suite in (audio, side)] == ["general-bench-audio", "general-bench-audio-comprehension"]
    assert whole.info.digest == audio.info.digest == side.info.digest


def test_what_is_missing_is_a_task_without_samples(tmp_path: Path) -> None:
    plain(tmp_path)
    suite = opened(tmp_path, tmp_path)
    missing = [task for task in suite.tasks if task.not_computed == ABSENT]
    assert len(missing) == 698
    assert suite.sample_ids(missing[0]) == ()
    assert list(suite.samples(missing[0])) == []


def test_a_closed_set_can_be_asked_and_not_scored(tmp_path: Path) -> None:
    closed = [{name: item[name] for name in ("id", "input")} for item in ACCENTS["data"]]
    accents(tmp_path / "audio/comprehension/AccentClassification", content={"data": closed})
    suite = opened(tmp_path, tmp_path)
    assert task_of(suite, ACCENT_ID).not_computed == CLOSED
    assert [sample.references for sample in samples(suite, ACCENT_ID)] == [(), (), ()]


def test_near_misses_are_told_and_never_taken(tmp_path: Path) -> None:
    plain(tmp_path)
    accents(tmp_path / "Audio" / "comprehension" / "Accents-Classification", content=ACCENTS["data"])
    suite = opened(tmp_path, tmp_path)
    assert "nearest are 'Accent Classification'" in suite.gaps[0]
    assert "Say which it is under 'names' in general-bench.yaml" in suite.gaps[0]


def test_a_name_can_be_told(tmp_path: Path) -> None:
    accents(tmp_path / "audio" / "comprehension" / "Tongues", content=ACCENTS["data"])
    (tmp_path / "general-bench.yaml").write_text("names: {Tongues: Accent Classification}")
    assert len(samples(opened(tmp_path, tmp_path), ACCENT_ID)) == 3


def test_an_annotation_of_another_task_than_its_folder_says_is_not_read(tmp_path: Path) -> None:
    plain(tmp_path)
    accents(tmp_path / "Audio/comprehension/SpeechCommand")
    task = task_of(opened(tmp_path, tmp_path), "audio-comprehension-speech-command")
    assert "says it is 'Accent Classification', its folder that it is 'Speech Command'" in task.not_computed


def test_a_task_that_is_there_twice_is_told(tmp_path: Path) -> None:
    plain(tmp_path)
    accents(tmp_path / "Audio" / "comprehension" / "AccentClassification")
    with pytest.raises(InvalidSuiteError, match="is there a second time"):
        opened(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("9.wav", "9.wav: there is no such file"),
        ("../../../secret.wav", "no path inside the task's folder"),
        ("/etc/passwd.wav", "no path inside the task's folder"),
        ("..\\..\\secret.wav", "no path inside the task's folder"),
        ("9.mp3", "9.mp3: there is no such file"),
        ("9.mp4", "9.mp4: there is no such file"),
        ("9.mid", "put a copy in one of the formats .png, .jpg"),
    ],
)
def test_a_medium_that_cannot_be_read_takes_its_task_out_and_no_other(name: str, told: str, tmp_path: Path) -> None:
    write(tmp_path / "secret.wav", sound(0))
    items = [*ACCENTS["data"][:2], {"id": 2, "input": {"audio_file": name, "prompt": "?"}, "output": {"text": "x"}}]
    accents(tmp_path / "audio/comprehension/AccentClassification", content=items)
    accents(tmp_path / "audio/comprehension/SpeechCommand", content=ACCENTS["data"])
    suite = opened(tmp_path, tmp_path)
    problem = task_of(suite, ACCENT_ID).not_computed
    assert problem.startswith("unreadable")
    assert "1 of 3 items cannot be read: item 2" in problem
    assert told in problem
    assert task_of(suite, "audio-comprehension-speech-command").not_computed == ""


def test_a_name_that_two_files_have_is_not_guessed(tmp_path: Path) -> None:
    accents(tmp_path / "audio/comprehension/AccentClassification", content=ACCENTS["data"])
    write(tmp_path / "audio/comprehension/AccentClassification/audio/0.wav", sound(1))
    assert "0.wav could be audios/0.wav or audio/0.wav" in task_of(opened(tmp_path, tmp_path), ACCENT_ID).not_computed


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "secret.wav", sound(5))
    task = tmp_path / "bench/audio/comprehension/AccentClassification"
    accents(task)
    (task / "audios" / "0.wav").unlink()
    (task / "audios" / "0.wav").symlink_to(tmp_path / "secret.wav")
    with pytest.raises(InvalidSuiteError, match="leads out of the suite"):
        samples(opened(tmp_path / "bench", tmp_path), ACCENT_ID)


def test_a_linked_folder_is_told(tmp_path: Path) -> None:
    accents(tmp_path / "elsewhere")
    plain(tmp_path / "bench")
    (tmp_path / "bench" / "Audio" / "comprehension" / "SpeechCommand").symlink_to(tmp_path / "elsewhere")
    assert "is a link" in opened(tmp_path / "bench", tmp_path).gaps[0]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        ({"items": []}, 'neither a list of items nor an object with a list "data"'),
        ({"data": [1]}, "item 0 of 'data' is no object but int"),
        ({"data": []}, "has no items"),
        ({"data": [{**ACCENTS["data"][0]}, {**ACCENTS["data"][1], "id": "0"}]}, "1 ids are used more than once, '0'"),
        ({"data": [ACCENTS["data"][0], {"input": {}}]}, "item 1 has the id None"),
        ({"data": [{**ACCENTS["data"][0], "id": 1.5}]}, "item 0 has the id 1.5"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_told(content: object, told: str, tmp_path: Path) -> None:
    plain(tmp_path)
    accents(tmp_path / "Audio/comprehension/SpeechCommand", content=content)
    problem = task_of(opened(tmp_path, tmp_path), "audio-comprehension-speech-command").not_computed
    assert problem.startswith("unreadable")
    assert told in problem


def test_items_without_ids_are_numbered(tmp_path: Path) -> None:
    items = [{name: item[name] for name in ("input", "output")} for item in ACCENTS["data"]]
    accents(tmp_path / "audio/comprehension/AccentClassification", content=items)
    suite = opened(tmp_path, tmp_path)
    assert suite.sample_ids(task_of(suite, ACCENT_ID)) == ("0", "1", "2")


def test_a_folder_without_tasks_is_no_benchmark(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    assert is_general_bench(tmp_path)
    with pytest.raises(InvalidSuiteError, match="has no task of General-Bench"):
        opened(tmp_path, tmp_path)


def member(name: str, *, link: bool = False) -> Write:
    def make(archive: Path) -> None:
        with zipfile.ZipFile(archive, "w") as out:
            told = zipfile.ZipInfo(name)
            if link:
                told.external_attr = (stat.S_IFLNK | 0o777) << 16
            out.writestr(told, "../../../../secret")

    return make


def tar_member(name: str, kind: bytes = tarfile.REGTYPE) -> Write:
    def make(archive: Path) -> None:
        with tarfile.open(archive, "w:gz") as out:
            told = tarfile.TarInfo(name)
            told.type, told.linkname = kind, "/etc/passwd"
            out.addfile(told, io.BytesIO())

    return make


@pytest.mark.parametrize(
    ("name", "make", "told"),
    [
        ("a.zip", member("../../evil"), "would land outside"),
        ("a.zip", member("/evil"), "would land outside"),
        ("a.zip", member("C:/evil"), "would land outside"),
        ("a.zip", member("x", link=True), "is a link"),
        ("a.zip", lambda archive: archive.write_bytes(b"PK nothing"), "cannot be read"),
        ("open.tar.gz", tar_member("../evil"), "would land outside"),
        ("open.tar.gz", tar_member("x", tarfile.SYMTYPE), "is a link or a device"),
        ("open.tar.gz", tar_member("x", tarfile.LNKTYPE), "is a link or a device"),
        ("open.tar.gz", tar_member("x", tarfile.CHRTYPE), "is a link or a device"),
        ("open.tar.gz", lambda archive: archive.write_bytes(b"\x1f\x8bnothing"), "cannot be read"),
    ],
)
def test_a_bad_archive_is_told_and_writes_nothing(name: str, make: Write, told: str, tmp_path: Path) -> None:
    plain(tmp_path / "bench")
    make(tmp_path / "bench" / "Audio" / "comprehension" / name)
    suite = opened(tmp_path / "bench", tmp_path)
    assert told in suite.gaps[0]
    assert len(samples(suite, ACCENT_ID)) == 3
    assert not list(tmp_path.rglob("evil"))
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_an_archive_is_held_to_what_it_really_holds(tmp_path: Path) -> None:
    from echelon.scorer.general_bench.archives import Ceilings, unpacked

    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for n in range(3):
            out.writestr(f"{n}", b"0" * 1000)
    for ceilings in (Ceilings(members=2), Ceilings(member_bytes=999), Ceilings(total_bytes=2500)):
        with pytest.raises(InvalidSuiteError, match=r"more than 2 members|larger than is taken"):
            unpacked(archive, tmp_path / "cache", ceilings)
    assert len(list(unpacked(archive, tmp_path / "cache").iterdir())) == 3


def test_an_archive_is_unpacked_once(tmp_path: Path) -> None:
    zip_of_task(tmp_path / "bench")
    opened(tmp_path / "bench", tmp_path)
    first = {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.wav")}
    opened(tmp_path / "bench", tmp_path)
    assert {path: path.stat().st_ino for path in (tmp_path / "cache").rglob("*.wav")} == first
    assert len(first) == 3


NLP: dict[str, tuple[str, dict[str, Any], list[str], tuple[str, ...]]] = {
    "MultipleChoiceQA": (
        "Commonsense Reasoning",
        {"input": {"question": "Hot?", "options": ["ice", "fire"]}, "output": {"answer": "B"}},
        ["Hot?", "A. ice\nB. fire"],
        ("B",),
    ),
    "OpenQA": (
        "TriviaQA",
        {"input": {"question": "Who?", "context": "Ann."}, "output": {"answer": ["Ann", "A."]}},
        ["Ann.", "Who?"],
        ("Ann", "A."),
    ),
    "Summarization": (
        "Abstractive Summarization",
        {"document": "Much.", "output": {"highlights": "Few."}},
        ["Much."],
        ("Few.",),
    ),
    "Translation": (
        "English-French Translation",
        {"in": "en", "out": "fr", "input": "yes", "output": "oui"},
        ["en", "fr", "yes"],
        ("oui",),
    ),
    "Story Generation": (
        "Story Generation",
        {"input": {"prompt": "A cat."}, "output": {"story": "It slept."}},
        ["A cat."],
        ("It slept.",),
    ),
    "Dialogue": (
        "Multi-Turn Daily Dialogue Generation",
        {"dialog": ["Hi.", "Hello."], "output": {"reference": "Bye."}},
        ["Hi.\nHello."],
        ("Bye.",),
    ),
    "Text to SQL": (
        "Text-to-SQL Generation",
        {"input": {"context": "CREATE", "question": "All?"}, "output": {"sql": "SELECT *"}},
        ["CREATE", "All?"],
        ("SELECT *",),
    ),
    "Code Explanation": ("Code Explanation", {"code": "pass", "output": {"nl": "Nothing."}}, ["pass"], ("Nothing.",)),
    "Proof": (
        "Mathematical Proof Generation",
        {"statement": "1=1", "output": {"proof": {"steps": ["a", "b"], "conclusion": "c"}}},
        ["1=1"],
        ("a\nb\nConclusion: c",),
    ),
    "Mathematical Word Problem Solving": (
        "Mathematical Word Problem Solving",
        {"problem": {"text": "2+2", "constraints": ["whole"]}, "output": {"solution": {"final_answer": 4}}},
        ["2+2", "whole"],
        ("4",),
    ),
    "Paraphrase Generation": (
        "Paraphrase Generation",
        {"input": {"originalSentence": "So."}, "output": {"paraphraseSentence": "Thus."}},
        ["So."],
        ("Thus.",),
    ),
    "Grammar Correction": (
        "Grammar Correction",
        {
            "input": {"Error Type": "verb", "Ungrammatical Statement": "He go."},
            "output": {"Standard English": "He goes."},
        },
        ["verb", "He go."],
        ("He goes.",),
    ),
    "Text Style Transfer": (
        "Text Style Transfer",
        {"input": {"text": "Hey", "style": "formal"}, "output": {"answer": "Sir"}},
        ["formal", "Hey"],
        ("Sir",),
    ),
    "Table-to-Text Generation": (
        "Table-to-Text Generation",
        {"input": {"table": [{"header": ["a", "b"], "rows": [[1, 2]]}]}, "output": {"response": {"text": "One."}}},
        ["a | b\n1 | 2"],
        ("One.",),
    ),
    "Code Defect Detection": ("Code Defect Detection", {"func": "f()", "output": {"target": 1}}, ["f()"], ("1",)),
    "Time Series": ("Time Series", {"input": {"data": [1, 2]}, "output": {"target": 3.0}}, ["[1, 2]"], ("3.0",)),
    "classification": (
        "Topic Classification",
        {"input": {"raw_text": "Goal!", "prompt": "Topic of <<<raw_text>>>"}, "output": {"label": "Sports"}},
        [],
        ("sports",),
    ),
    "ner": (
        "Legal NER",
        {"input": {"raw_text": "Ann v. Bob", "prompt": "Names?"}, "output": {"entities": "Ann, Bob"}},
        ["Ann v. Bob"],
        ("ann bob",),
    ),
}


def told(part: object) -> str:
    match part:
        case Choice():
            return " ".join(scored.label for scored in part.labels)
        case Text():
            return part.value
    return str(getattr(part, "value", part))


@pytest.mark.parametrize("type_", NLP)
def test_every_type_of_language_task_is_read(type_: str, tmp_path: Path) -> None:
    name, item, shown, references = NLP[type_]
    write(tmp_path / "nlp" / name.replace(" ", "-") / "annotation.json", {"type": type_, "data": [{"id": 1, **item}]})
    suite = opened(tmp_path, tmp_path)
    task = next(task for task in suite.tasks if task.title == name)
    assert task.not_computed == ""
    (sample,) = suite.samples(task)
    assert [told(part) for part in sample.parts] == shown
    assert tuple(map(told, sample.references)) == references
    measured = metric(task.metric, task.worst, task.labels)
    stats = [measured.sample(extract(task.extractor, (each,), task), sample.references) for each in sample.references]
    assert stats


def test_options_are_letters_and_their_number_is_the_chance(tmp_path: Path) -> None:
    items = [
        {"id": n, "input": {"question": "?", "options": options}, "output": {"answer": "A"}}
        for n, options in enumerate([["x", "y"], ["x", "y", "z", "w"]])
    ]
    write(tmp_path / "nlp/Commonsense-Reasoning/annotation.json", {"type": "MultipleChoiceQA", "data": items})
    task = task_of(opened(tmp_path, tmp_path), "nlp-commonsense-reasoning")
    assert (task.labels, task.chance, task.extractor) == (("A", "B", "C", "D"), 0.375, "label")


def test_placeholders_are_filled(tmp_path: Path) -> None:
    item = {"raw_text": "<<<target>>> rocks", "target": "it", "prompt": "<<<raw_text>>> on <<<target>>>? {yes}"}
    content = {"type": "classification", "data": [{"id": 1, "input": item, "output": {"label": "For"}}]}
    write(tmp_path / "nlp/Stance-Detection/annotation.json", content)
    assert (
        samples(opened(tmp_path, tmp_path), "nlp-stance-detection")[0].instruction == "<<<target>>> rocks on it? {yes}"
    )


def test_intents_are_shown_with_their_words(tmp_path: Path) -> None:
    content = {**ACCENTS, "task": "IntentClassification", "intent_label": {"action": {"on": 0, "off": 1}}}
    accents(tmp_path / "audio/comprehension/IntentClassification", content=content)
    sample = samples(opened(tmp_path, tmp_path), "audio-comprehension-intent-classification")[0]
    assert sample.parts[1] == Text("action: on, off", name="intent_label")


def test_a_medium_may_have_a_copy_that_the_contract_carries(tmp_path: Path) -> None:
    items = [{**ACCENTS["data"][0], "input": {"audio_file": "0.mp3", "prompt": "?"}}]
    accents(tmp_path / "audio/comprehension/SpeechCommand", content=items)
    clip = {"id": 1, "input": {"video": "clip.mp4", "prompt": "?"}, "output": {"text": "Yes"}}
    write(tmp_path / "video/comprehension" / VIDEO_QA / "annotation.json", [clip])
    for n in range(2):
        write(tmp_path / "video/comprehension" / VIDEO_QA / "videos" / "clip" / f"{n}.png", picture(n))
    suite = opened(tmp_path, tmp_path)
    parts = [sample.parts[0] for task in suite.tasks for sample in suite.samples(task)]
    assert [part.kind for part in parts] == [Kind.VIDEO, Kind.AUDIO]


MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


def clip_task(root: Path, name: str, answer: object = "Yes") -> Path:
    """A task about one encoded clip."""
    item = {"id": 1, "input": {"video": "clip.mp4", "prompt": "?"}, "output": {"text": answer}}
    task = root / "video/comprehension" / name
    write(task / "annotation.json", [item])
    write(task / "videos" / "clip.mp4", MP4)
    return task


def only_parts(root: Path, tmp_path: Path) -> list[tuple[Part, ...]]:
    suite = opened(root, tmp_path)
    return [sample.parts for task in suite.tasks for sample in suite.samples(task)]


def test_encoded_media_travel_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import soundfile

    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path / "cache"))
    clip_task(tmp_path / "bench", VIDEO_QA)
    items = [{**ACCENTS["data"][0], "input": {"audio_file": "a.mp3", "prompt": "?"}}]
    task = tmp_path / "bench/audio/comprehension/SpeechCommand"
    write(task / "annotation.json", items)
    out = io.BytesIO()
    soundfile.write(out, np.zeros(2000), 16_000, format="MP3")
    write(task / "audios" / "a.mp3", out.getvalue())
    assert only_parts(tmp_path / "bench", tmp_path) == [
        (Video(MP4, "video/mp4", name="video"),),
        (Audio(out.getvalue(), "audio/mpeg", 16_000, 1, name="audio_file"),),
    ]
    checked = validate(tmp_path / "bench")
    assert checked.faults == []
    (note,) = checked.notes
    assert "video/mp4 is carried and not decoded here; the model has to decode it (media: 1)" in note


def test_what_is_decoded_goes_before_what_only_travels_and_a_thumbnail_is_no_clip(tmp_path: Path) -> None:
    task = clip_task(tmp_path, VIDEO_QA)
    write(task / "videos" / "clip.png", picture(0))
    assert [parts[0].kind for parts in only_parts(tmp_path, tmp_path)] == [Kind.VIDEO]
    for n in range(2):
        write(task / "videos" / "clip" / f"{n}.png", picture(n))
    ((video,),) = only_parts(tmp_path, tmp_path)
    assert isinstance(video, Video)
    assert len(video.frames) == 2


def test_a_medium_that_is_too_large_takes_its_task_out_before_anything_is_asked(tmp_path: Path) -> None:
    task = clip_task(tmp_path, VIDEO_QA)
    os.truncate(task / "videos" / "clip.mp4", 49 * 2**20)
    (told,) = [each.not_computed for each in opened(tmp_path, tmp_path).tasks if each.not_computed != ABSENT]
    assert "item 1: videos/clip.mp4 has 51380224 bytes, at most 50331648 are taken; shorten it" in told


def test_an_encoded_clip_is_no_reference(tmp_path: Path) -> None:
    name = next(e.task for e in catalogue().entries if (e.sheet, e.metric) == ("Video-Generation", "PSNR"))
    task = tmp_path / "video/generation" / name
    item = {"id": 1, "input": {"video": "clip.mp4", "prompt": "?"}, "output": {"video": "gold.mp4"}}
    write(task / "annotation.json", [item])
    for file in ("clip.mp4", "gold.mp4"):
        write(task / "videos" / file, MP4)
    suite = opened(tmp_path, tmp_path)
    (found,) = [each for each in suite.tasks if suite.sample_ids(each)]
    assert "gold.mp4 is not decoded here; put a copy in one of the formats .gif beside it, or its frames in a" in (
        found.not_computed
    )


def test_shapes_are_shown_as_they_are_and_compared_as_points(tmp_path: Path) -> None:
    import trimesh

    name = next(e.task for e in catalogue().entries if e.metric == "CD (Chamfer Distance)")
    task = tmp_path / "3D/generation" / name
    item = {"id": 1, "input": {"mesh": "a.ply", "prompt": "?"}, "output": {"points": "b.obj"}}
    write(task / "annotation.json", [item])
    box = trimesh.creation.box()
    write(task / "pointclouds" / "a.ply", box.export(file_type="ply"))
    write(task / "pointclouds" / "b.obj", box.export(file_type="obj").encode())
    suite = opened(tmp_path, tmp_path)
    (found,) = [each for each in suite.tasks if suite.sample_ids(each)]
    (sample,) = suite.samples(found)
    assert [part.kind for part in sample.parts] == [Kind.MESH]
    assert [part.kind for part in sample.references] == [Kind.POINT_CLOUD]
    assert found.not_computed == ""


def test_birds_are_there_or_not(tmp_path: Path) -> None:
    items = [{**item, "output": {"text": n % 2}} for n, item in enumerate(ACCENTS["data"])]
    accents(tmp_path / "audio/comprehension/BirdSoundDetection", content=items)
    suite = opened(tmp_path, tmp_path)
    task = task_of(suite, "audio-comprehension-bird-sound-detection")
    assert task.labels == ("Yes", "No")
    assert [sample.references for sample in suite.samples(task)] == [
        (Choice.of("No"),),
        (Choice.of("Yes"),),
        (Choice.of("No"),),
    ]


def test_intents_may_be_numbers(tmp_path: Path) -> None:
    header = {"action": {"on": "0", "0": "on"}, "object": {"7": "lamp"}, "location": {"none": "1", "1": "none"}}
    items = [{**item, "output": {"text": "0 7 none"}} for item in ACCENTS["data"]]
    content = {"intent_label": header, "data": items}
    accents(tmp_path / "audio/comprehension/IntentClassification", content=content)
    sample = samples(opened(tmp_path, tmp_path), "audio-comprehension-intent-classification")[0]
    assert sample.references == (Choice.of("on lamp none"),)
    assert sample.parts[1] == Text("action: on\nobject: lamp\nlocation: none", name="intent_label")


def test_several_texts_are_alternatives(tmp_path: Path) -> None:
    items = [{**item, "output": {"text": ["A dog.", "A hound."]}} for item in ACCENTS["data"]]
    accents(tmp_path / "audio/comprehension/LongAudioCaptioning", content=items)
    sample = samples(opened(tmp_path, tmp_path), "audio-comprehension-long-audio-captioning")[0]
    assert sample.references == (Text("A dog."), Text("A hound."))


@pytest.mark.parametrize(("answer", "letter"), [("fire", "B"), ("b", "B"), ("B.", "B")])
def test_an_option_may_be_named_in_other_ways(answer: str, letter: str, tmp_path: Path) -> None:
    item = {"id": 1, "input": {"question": "Hot?", "options": ["ice", "fire"]}, "output": {"answer": answer}}
    write(tmp_path / "nlp/Commonsense-Reasoning/annotation.json", {"type": "MultipleChoiceQA", "data": [item]})
    (sample,) = samples(opened(tmp_path, tmp_path), "nlp-commonsense-reasoning")
    assert sample.references == (Choice.of(letter),)


def test_an_answer_that_is_no_option_leaves_the_task_without_a_score(tmp_path: Path) -> None:
    item = {"id": 1, "input": {"question": "Hot?", "options": ["ice", "fire"]}, "output": {"answer": "C"}}
    write(tmp_path / "nlp/Commonsense-Reasoning/annotation.json", {"type": "MultipleChoiceQA", "data": [item]})
    task = task_of(opened(tmp_path, tmp_path), "nlp-commonsense-reasoning")
    assert "item 1: the answer 'C' is none of A, B" in task.not_computed


def test_tubes_are_boxes_by_frame(tmp_path: Path) -> None:
    name = next(e.task for e in catalogue().entries if e.metric == "m_vIoU")
    tube = {
        "original_video_id": "v",
        "video_path": "v.gif",
        "caption": "a cat",
        "frame_count": 9,
        "tube_start_frame": 3,
        "tube_end_frame": 5,
        "trajectory": [[0, 0, 2, 3], [1, 1, 2, 3]],
    }
    framed = {**tube, "trajectory": {str(n): {"bbox": [n, 0, 1, 1]} for n in range(9)}}
    write(tmp_path / "video/comprehension" / name / "annotation.json", {"data": [tube, framed]})
    from PIL import Image as Pillow

    path = tmp_path / "video/comprehension" / name / "videos" / "v.gif"
    path.parent.mkdir()
    frames = [Pillow.new("L", (8, 8), n) for n in range(3)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    suite = opened(tmp_path, tmp_path)
    task = next(task for task in suite.tasks if suite.sample_ids(task))
    assert task.not_computed == ""
    first, second = suite.samples(task)
    assert first.instruction == "a cat"
    # Nothing of the tube itself is shown.
    assert [part.kind for part in first.parts] == [Kind.VIDEO]
    assert first.references == (Boxes((Box(0, 0, 2, 3, frame_index=2), Box(1, 1, 3, 4, frame_index=3))),)
    assert second.references == (Boxes((Box(3, 0, 4, 1, frame_index=3), Box(4, 0, 5, 1, frame_index=4))),)


def test_masks_of_frames_are_read_as_coco_packs_them(tmp_path: Path) -> None:
    from pycocotools import mask as coco

    rng = np.random.default_rng(3)
    masks = rng.random((3, 40, 50)) < 0.3
    packed = [coco.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    rles = [{"size": list(each["size"]), "counts": each["counts"].decode()} for each in packed]
    name = next(e.task for e in catalogue().entries if e.metric == "mIoU" and e.sheet == "Video-Comprehension")
    item = {"id": 1, "input": {"video_folder": "v"}, "output": {str(n): {"mask": rle} for n, rle in enumerate(rles)}}
    write(tmp_path / "video/comprehension" / name / "annotation.json", [item])
    for n in range(3):
        write(tmp_path / "video/comprehension" / name / "videos" / "v" / f"{n}.png", picture(n))
    suite = opened(tmp_path, tmp_path)
    (sample,) = next(list(suite.samples(task)) for task in suite.tasks if suite.sample_ids(task))
    (reference,) = sample.references
    assert isinstance(reference, Tensor)
    assert (reference.array() == masks).all()


def test_what_is_right_is_never_shown(tmp_path: Path) -> None:
    name = next(e.task for e in catalogue().entries if e.metric == "PSNR" and e.sheet == "Video-Generation")
    task = tmp_path / "video/generation" / name
    item = {"id": 1, "input": {"video_folder": "v", "gt_dir": "gold", "pred_dir": "p", "prompt": "Clean."}}
    write(task / "annotation.json", [item])
    for n in range(2):
        write(task / "v" / f"{n}.png", picture(n))
        write(task / "gold" / f"{n}.png", picture(n + 10))
    suite = opened(tmp_path, tmp_path)
    (sample,) = next(list(suite.samples(each)) for each in suite.tasks if suite.sample_ids(each))
    assert [part.name for part in sample.parts] == ["video_folder"]
    (reference,) = sample.references
    assert isinstance(reference, Video)
    assert [frame.image.data for frame in reference.frames] == [picture(10), picture(11)]


def test_a_metric_of_prompts_has_the_prompt_as_reference(tmp_path: Path) -> None:
    name = next(e.task for e in catalogue().entries if e.metric == "CLIP score" and e.sheet == "3D-Generation")
    item = {"id": 1, "input": {"prompt": "a red chair"}}
    write(tmp_path / "3D/generation" / name / "annotation.json", [item])
    suite = opened(tmp_path, tmp_path)
    task = next(task for task in suite.tasks if suite.sample_ids(task))
    assert task.not_computed == ""
    assert [sample.references for sample in suite.samples(task)] == [(Text("a red chair"),)]
    assert validate(tmp_path).faults == []


def test_the_values_of_masks_can_be_told(tmp_path: Path) -> None:
    name = next(e.task for e in catalogue().entries if (e.sheet, e.metric) == ("Image-Comprehension", "mIoU"))
    task = tmp_path / "image/comprehension" / name
    write(task / "annotation.json", [{"id": 1, "input": {"image": "a.png"}, "output": {"mask": "gold.png"}}])
    write(task / "images" / "a.png", picture(1))
    gold = np.array([[0, 1], [1, 1]], np.uint8)
    write(task / "masks" / "gold.png", Image.from_array(gold).data)
    told = next(each for each in opened(tmp_path, tmp_path).tasks if each.title == name).not_computed
    assert "needs the task's labels" in told
    write(tmp_path / "general-bench.yaml", json.dumps({"labels": {name: ["background", "road"]}}).encode())
    suite = opened(tmp_path, tmp_path)
    found = next(each for each in suite.tasks if each.title == name)
    assert (found.not_computed, found.labels) == ("", ("background", "road"))
    (sample,) = suite.samples(found)
    measured = metric(found.metric, found.worst, found.labels)
    assert measured.finish([measured.sample(sample.references[0], sample.references)]) == 1.0


def test_frames_make_a_video(tmp_path: Path) -> None:
    task = tmp_path / "video/comprehension" / VIDEO_QA
    frames = [f"clip/{n}.png" for n in (1, 2, 10)]
    item = {"id": "a", "input": {"video_file_list": frames, "prompt": "What?"}, "output": {"text": "Yes"}}
    write(task / "annotation.json", [item])
    for n, frame in enumerate(frames):
        write(task / "videos" / frame, picture(n))
    suite = opened(tmp_path, tmp_path)
    (sample,) = next(list(suite.samples(each)) for each in suite.tasks if suite.sample_ids(each))
    (video,) = sample.parts
    assert isinstance(video, Video)
    assert video.array().shape == (3, 4, 5, 3)


def test_a_folder_of_frames_is_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    task = tmp_path / "video/comprehension" / VIDEO_QA
    item = {"id": "a", "input": {"video_folder": "clip", "prompt": "?"}, "output": {"answer": "Yes"}}
    write(task / "annotation.json", [item])
    for n in (1, 2, 10):
        write(task / "videos" / "clip" / f"²{n}.png", picture(n))
    suite = opened(tmp_path, tmp_path)
    (sample,) = next(list(suite.samples(each)) for each in suite.tasks if suite.sample_ids(each))
    (video,) = sample.parts
    assert isinstance(video, Video)
    assert [frame.image.data for frame in video.frames] == [picture(n) for n in (1, 2, 10)]


def test_a_quick_set_names_its_samples_and_takes_media_from_the_main_set(tmp_path: Path) -> None:
    plain(tmp_path / "main")
    write(
        tmp_path / "quick" / "audio/comprehension/AccentClassification/annotation.json", {"data": ACCENTS["data"][:2]}
    )
    (tmp_path / "quick" / "general-bench.yaml").write_text("{media: ../main, quick: true}")
    quick = opened(tmp_path / "quick", tmp_path)
    assert [len(samples(quick, task.id)) for task in quick.tasks] == [2]
    write(tmp_path / "view" / "quick.json", {"AccentClassification": [0, "2"]})
    (tmp_path / "view" / "general-bench.yaml").write_text("{annotations: ../main, ids: quick.json}")
    view = opened(tmp_path / "view", tmp_path)
    assert [sample.id for sample in samples(view, ACCENT_ID)] == ["0", "2"]
    assert view.info.name == "general-bench-quick"
    assert len({suite.info.digest for suite in (quick, view, opened(tmp_path / "main", tmp_path))}) == 3


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ({"Nowhere": [1]}, "'Nowhere' is no task that is here"),
        ({"AccentClassification": [7]}, "has no item 7"),
        (["x"], "is not of the form"),
    ],
)
def test_a_list_of_ids_has_to_fit(listed: object, told: str, tmp_path: Path) -> None:
    plain(tmp_path)
    write(tmp_path / "ids.json", listed)
    (tmp_path / "general-bench.yaml").write_text("ids: ids.json")
    try:
        problem = task_of(opened(tmp_path, tmp_path), ACCENT_ID).not_computed
    except InvalidSuiteError as error:
        problem = str(error)
    assert told in problem


def test_validation_decodes_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECHELON_CACHE", str(tmp_path / "cache"))
    plain(tmp_path)
    assert validate(tmp_path).faults == []
    write(tmp_path / "Audio/comprehension/Accent-Classification/audios/1.wav", b"RIFF nothing")
    (fault,) = validate(tmp_path).faults
    assert "item 1: audios/1.wav is not audio/wav, as its name says" in fault


def test_every_task_of_the_catalogue_has_its_own_id() -> None:
    ids = [task_id(entry) for entry in catalogue().entries]
    assert len(set(ids)) == len(ids) == 699
    assert max(map(len, ids)) <= 128


def test_every_sota_is_a_possible_score_of_its_metric() -> None:
    for entry in catalogue().entries:
        reading, sota = reading_of(entry), sota_of(entry)
        assert sota is not None
        if not reading.problem:
            low, high = metric(reading.metric, reading.worst).range
            assert low <= sota.score <= high, entry


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
PATHS = re.findall(
    r"\S+",
    """input input.question input.options input.context input.table input.prompt input.raw_text input.video_folder
    input.image input.audio_file input.gt_dir input.sourceCode input.data output output.answer output.summary
    output.text output.target output.proof output.proof.steps output.proof.conclusion output.solution.final_answer
    output.response.content output.reference output.flow document document_list in out dialog language goal context func
    code statement problem.text problem.constraints video_path caption trajectory tube_start_frame tube_end_frame""",
)
ITEM = st.dictionaries(st.sampled_from(PATHS), JSON, min_size=1, max_size=len(PATHS))


def nested(flat: dict[str, Any]) -> dict[str, Any]:
    """An item of values by their dotted paths; what does not fit together is left out."""
    item: dict[str, Any] = {}
    for path, value in flat.items():
        inner: Any = item
        *above, last = path.split(".")
        for name in above:
            inner = inner.setdefault(name, {}) if isinstance(inner, dict) else None
        if isinstance(inner, dict):
            inner[last] = value
    return item


@pytest.mark.parametrize(
    "task",
    [
        *(("Commonsense Reasoning", "nlp", type_) for type_ in NLP),
        ("Time Series", "nlp", "Time Series"),
        ("Legal NER", "nlp", "ner"),
        ("Code Generation", "nlp", "Code Generation"),
        ("Code Repair", "nlp", "Code Repair"),
        ("Bird Sound Detection", "audio/comprehension", ""),
        ("Intent Classification", "audio/comprehension", ""),
        *(
            (entry.task, f"{entry.sheet.partition('-')[0].lower()}/{entry.sheet.partition('-')[2].lower()}", "")
            for metric_ in (
                "EPE",
                "AUC",
                "m_vIoU",
                "mIoU",
                "absRel",
                "AP50",
                "PSNR",
                "CD (Chamfer Distance)",
                "PQ",
                "R@50",
            )
            for entry in [next(e for e in catalogue().entries if e.metric == metric_)]
        ),
    ],
    ids=" ".join,
)
@given(items=st.lists(ITEM, min_size=8, max_size=16), intents=st.dictionaries(st.text(max_size=3), JSON, max_size=3))
@settings(suppress_health_check=list(HealthCheck), deadline=None, max_examples=8)
def test_whatever_items_hold_they_are_read_or_refused(
    task: tuple[str, str, str], items: list[dict[str, Any]], intents: dict[str, Any], tmp_path: Path
) -> None:
    name, place, type_ = task
    folder = tmp_path / place / name.replace("/", "-")
    data = [{**nested(item), "id": n} for n, item in enumerate(items)]
    write(folder / "annotation.json", {"type": type_, "intent_label": intents, "data": data})
    suite = opened(tmp_path, tmp_path)
    (found,) = [each for each in suite.tasks if each.not_computed != ABSENT]
    if suite.sample_ids(found):
        try:
            list(suite.samples(found))
        except InvalidSuiteError:
            assert not found.not_computed.startswith("unreadable")
    else:
        assert found.not_computed.startswith("unreadable")


@given(name=st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_name_gets_a_file_from_outside(name: str, tmp_path: Path) -> None:
    from echelon.scorer.general_bench.task_media import TaskMedia

    task = tmp_path / "task"
    write(task / "images" / "a.png", b"inside")
    write(tmp_path / "a.png", b"outside")
    media = TaskMedia([task], "task")
    for asked in (name, f"../{name}", f"..\\{name}", f"images/../../{name}", f"{name}/a.png"):
        try:
            found = media.path(media.find(asked))
        except InvalidSuiteError:
            continue
        assert os.path.realpath(found).startswith(f"{os.path.realpath(task)}{os.sep}")


@given(name=st.text(max_size=40))
def test_a_key_is_its_own_key(name: str) -> None:
    assert key(key(name)) == key(name)
