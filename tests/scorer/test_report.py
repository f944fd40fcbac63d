"""The report of a run: what it shows, and what it does not let through."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from echelon.adapters import (
    Audio,
    Box,
    Box3D,
    Boxes,
    BoxSpace,
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
    ScoredLabel,
    Tensor,
    Text,
    Usage,
    Video,
)
from echelon.adapters.card import Composition
from echelon.scorer.chance.outcome import Chance
from echelon.scorer.outcomes import State
from echelon.scorer.report import as_json, html, text
from echelon.scorer.results import LevelResult, RunResult, Sota, TaskResult, ViewedSample
from echelon.scorer.sigmas import Edition
from echelon.scorer.suites.suite import Modality, Paradigm, SuiteInfo, Task
from echelon.scorer.usage import TotalUsage
from echelon.scorer.verdict.family import Bounds, LeadVerdict, TaskState, TaskVerdict
from echelon.scorer.verdict.figures import Figure, LevelVerdict
from echelon.scorer.verdict.levels import level_parts
from echelon.scorer.verdict.task import Against

# --- results to report ------------------------------------------------------------------------------------------------


def a_task(
    id: str = "image-digits",  # noqa: A002  # the field's own name
    *,
    title: str = "",
    modality: Modality = Modality.IMAGE,
    paradigm: Paradigm = Paradigm.COMPREHENSION,
    skill: str = "character recognition",
    metric: str = "accuracy",
    chance: float = 0.1,
) -> Task:
    return Task(
        id, title or id.replace("-", " ").capitalize(), modality, paradigm, skill, "What is this?", (Kind.CHOICE,),
        "label", metric, chance,
    )  # fmt: skip


def a_result(
    task: Task | None = None,
    score: float | None = 0.82,
    sota: float | None = 0.75,
    *,
    n: int | None = 50,
    counts: Mapping[State, int] | None = None,
    unit: str = "fraction",
    higher_is_better: bool = True,
    viewed: Sequence[ViewedSample] = (),
    state: TaskState | None = None,
) -> TaskResult:
    task = task or a_task()
    sign = 1 if higher_is_better else -1
    sigma = None if score is None else 100 * score if unit == "fraction" else 55.5
    return TaskResult(
        task=task,
        metric_id=f"{task.metric}@1;extract=label@1",
        higher_is_better=higher_is_better,
        unit=unit,
        sample_count=50,
        counts=counts or {State.ANSWERED: 50},
        score=score,
        sota=None if sota is None else Sota(sota, "specialist, seed 3", n),
        sigmas={} if sigma is None else {"2024": sigma, "2025": sigma},
        sota_sigmas={"2024": 70.0, "2025": 71.0},
        above_chance=score is not None and sign * score > sign * task.chance,
        won=score is not None and sota is not None and sign * score >= sign * sota,
        chance=Chance(task.chance, measured=task.chance, declared=task.chance),
        viewed=tuple(viewed),
        verdict=None if score is None else a_verdict(score, sota, n, state, sign),
    )


def a_verdict(score: float, sota: float | None, n: int | None, state: TaskState | None, sign: int) -> TaskVerdict:
    bounds = Bounds(score, score - 0.1, score + 0.1)
    if sota is None:
        return TaskVerdict(50, 50, "exact binomial", bounds, bounds, 0.001, 1.0, None)
    lead = sign * (score - sota)
    state = state or (TaskState.WON if lead > 0 else TaskState.BELOW if lead < 0 else TaskState.TIE)
    against = Against.PAIRS if n else Against.CONSTANT
    judged = LeadVerdict(
        state=state,
        against=against,
        margin=0.0,
        lead=Bounds(lead, lead - 0.05, None),
        p=0.01,
        below_p=1.0,
        adjusted_p=0.04,
        adjusted_below_p=1.0,
        constant_p=None if n else 0.003,
        needed_n=220,
        undone_by=0.012,
    )
    return TaskVerdict(50, 40, "exact McNemar", bounds, bounds, 0.001, 1.0, judged)


def a_level(edition: Edition, level: int = 3, *, synergy_counts: bool = True, notes: Sequence[str] = ()) -> LevelResult:
    by_modality = {"image": (60.0, 30.0, 20.0), "audio": (40.0, 10.0, 0.0)} if edition == "2025" else {}
    return LevelResult(
        edition, "starter@1a2b", level, 52.345, 21.5, 12.25, 0.0, synergy_counts, by_modality, tuple(notes)
    )


def a_level_verdict(level: LevelResult) -> LevelVerdict:
    paper = Figure(level.level, level.s2, level.s3, level.s4, level.s5)
    ps = {1: 0.001, 2: 0.002, 3: 0.2, 4: 1.0, 5: 1.0}
    certified, possible = Figure(2, 48.0, 0.0, 0.0, 0.0), Figure(5, 60.0, 55.5, 44.5, 33.5)
    edition: Edition = "2024" if level.edition == "2024" else "2025"
    return LevelVerdict(edition, 0.05, paper, certified, possible, ps, level_parts(0.05))


CARD = Card(
    version="1.2",
    calls=(CallSupport(Call.COMPREHEND, (Kind.IMAGE, Kind.TEXT), (Kind.CHOICE,)),),
    description="A small network.",
    deterministic=True,
    weights_digest="sha256:" + "ab" * 32,
    engine="onnxruntime 1.23",
    precision="float32",
    device="cpu",
    composition=Composition.SINGLE,
    name="generalist",
)


def a_run(
    *tasks: TaskResult, card: Card = CARD, levels: Sequence[LevelResult] | None = None, suite: str = "starter"
) -> RunResult:
    levels = tuple(levels if levels is not None else (a_level("2024", 2), a_level("2025", 3, notes=("S5 is 0.",))))
    return RunResult(
        run_id="5f" * 32,
        suite=SuiteInfo(suite, "1", "1a2b" + "0" * 60, "Starter", "Small tasks.", "CC-BY-4.0"),
        card=card,
        target="secret-host.example:50051/generalist",
        seed=7,
        settings={"temperature": "0", "samples": "50"},
        tasks=tasks or (a_result(),),
        levels=levels,
        verdicts=tuple(a_level_verdict(level) for level in levels),
    )


def a_sample(
    answer: Part | Sequence[Part] = (),
    *,
    inputs: Sequence[Part] = (),
    references: Sequence[Part] = (),
    state: State = State.ANSWERED,
    detail: str = "",
) -> ViewedSample:
    parts = (answer,) if isinstance(answer, Part) else tuple(answer)
    return ViewedSample("0001", "What is this?", tuple(inputs), tuple(references), state, parts, 1.0, detail)


def answering(*answer: Part, inputs: Sequence[Part] = (), references: Sequence[Part] = ()) -> RunResult:
    return a_run(a_result(viewed=[a_sample(answer, inputs=inputs, references=references)]))


def pixels(height: int = 16, width: int = 16, *, seed: int = 0, grey: bool = False) -> NDArray[np.uint8]:
    shape = (height, width) if grey else (height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def ball(count: int = 500) -> NDArray[np.float64]:
    points: NDArray[np.float64] = np.random.default_rng(0).normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return points


def tone() -> NDArray[np.float64]:
    samples: NDArray[np.float64] = 0.5 * np.sin(np.arange(4000) * 0.3) * np.linspace(1, 0, 4000)
    return samples


EVERY_KIND: tuple[Part, ...] = (
    Text("a plain answer"),
    Number(41.5, "degrees"),
    Choice((ScoredLabel("seven", 0.91), ScoredLabel("one", 0.06))),
    Image.from_array(pixels()),
    Audio.from_array(tone(), 8000),
    Video.from_array(np.stack([pixels(seed=i) for i in range(5)]), frames_per_second=8),
    PointCloud.from_array(ball()),
    Mesh.from_array(ball(12), np.array([[0, 1, 2], [3, 4, 5]])),
    Mask.from_array(np.eye(16, dtype=np.uint8), labels=("ground", "line")),
    Boxes((Box(2, 2, 9, 9, "circle", 0.9), Box(4, 5, 12, 14, "square"))),
    Boxes((Box3D((0, 0, 0), (1, 1, 1), label="car"),), BoxSpace.METRE),
    Tensor.from_array(np.arange(12, dtype=np.float32).reshape(3, 4)),
    Json('{"a": [1, 2]}'),
)

# --- reading pages ----------------------------------------------------------------------------------------------------

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class Page(HTMLParser):
    """A page's elements, and what a reader sees of it."""

    source: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def title(self) -> str:
        return self.source.partition("<title>")[2].partition("</title>")[0]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def with_class(self, name: str) -> list[dict[str, str]]:
        return [attributes for _, attributes in self.elements if name in attributes.get("class", "").split()]


def cells(result: RunResult) -> list[str]:
    """What stands in the table of what the run took."""
    table = re.search(r'<table class="usage">.*?</table>', html(result), re.DOTALL)
    found = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", table[0]) if table else []
    return [re.sub("<[^>]*>", "", cell) for cell in found]


def page(result: RunResult, *others: RunResult) -> Page:
    return Page(html(result, others))


# --- what it shows ----------------------------------------------------------------------------------------------------


def test_the_verdict_names_what_is_certified_with_suite_and_edition() -> None:
    shown = page(a_run()).text
    assert "Level 2 certified on starter@1a2b, edition 2024" in shown
    assert "Level 2 certified on starter@1a2b, edition 2025" in shown
    assert "S5 is 0." in shown


def test_each_level_has_its_three_figures() -> None:
    ladder = page(a_run(levels=[a_level("2025", 3)])).text.split("Level 2 certified")[1]
    assert "certified paper possible drawn level 2 3 5 S2 48.0 52.3 60.0" in ladder
    assert "S3 0.0 21.5 55.5" in ladder
    nothing = replace(a_run(levels=[a_level("2025", 0)]), verdicts=(a_level_verdict(a_level("2025", 0)),))
    bare = replace(nothing.verdicts[0], certified=Figure(0, 0.0, 0.0, 0.0, 0.0))
    assert "No level certified on starter@1a2b, edition 2025" in page(replace(nothing, verdicts=(bare,))).text
    assert "No level certified on starter@1a2b, edition 2025 (paper: none, possible: level 5)" in text(
        replace(nothing, verdicts=(bare,))
    )


def test_only_the_starter_suite_carries_the_demonstration_banner() -> None:
    banner = "A demonstration: it says nothing about General-Bench."
    assert banner in page(a_run()).text
    assert banner not in page(a_run(suite="another")).text


@pytest.mark.parametrize("composition", [Composition.DISPATCHER, Composition.AGENT])
def test_gated_scores_of_a_dispatcher_are_struck_as_not_synergy(composition: Composition) -> None:
    levels = [a_level("2024", 2, synergy_counts=False), a_level("2025", 2, synergy_counts=False)]
    shown = page(a_run(card=replace(CARD, composition=composition), levels=levels))
    assert len(shown.with_class("not-synergy")) == 6
    assert len(shown.all("s")) == 3 * 6 + 4  # three figures each, and S3 and S4 of two modalities
    assert "21.5 55.5 not synergy" in shown.text


def test_a_task_shows_score_direction_sigma_and_mark() -> None:
    shown = page(a_run(a_result(a_task(metric="mae", chance=90), 12.5, 15, unit="degrees", higher_is_better=False)))
    row = shown.text.split("against chance and sota")[1]
    assert "12.50 degrees" in row
    assert "lower is better" in row
    assert "55.5" in row
    assert "won" in row
    assert "score 12.50, chance 90.00, sota 15.00" in [svg.get("aria-label") for svg in shown.all("svg")]


@pytest.mark.parametrize(
    ("score", "sota", "word"), [(0.82, 0.75, "won"), (0.75, 0.75, "tie"), (0.6, 0.75, "below"), (0.6, None, "no sota")]
)
def test_a_task_is_won_tied_or_below(score: float, sota: float | None, word: str) -> None:
    marks = page(a_run(a_result(score=score, sota=sota))).with_class("mark")
    assert {mark["class"] for mark in marks} == {f"mark {word.replace(' ', '-')}"}


def test_a_win_over_a_published_constant_is_worded_so() -> None:
    shown = page(a_run(a_result(n=None)))
    assert "the published figure is taken to have been measured on as many" in shown.with_class("mark")[0]["title"]
    assert "a published figure" in shown.text
    assert "0.003 if the published figure had no error" in shown.text


def test_a_task_that_is_open_says_what_would_decide() -> None:
    open_ = a_result(state=TaskState.UNDECIDED)
    shown = page(a_run(open_)).text
    assert "? undecided +0.070 (+0.020 to …) needs about 220 samples" in shown
    assert "exact McNemar, 50 samples in 40 clusters; p = 0.01 alone, 0.04 among all tasks" in shown
    assert open_.verdict is not None
    assert open_.verdict.sota is not None
    never = replace(open_, verdict=replace(open_.verdict, sota=replace(open_.verdict.sota, needed_n=None)))
    assert "not on this suite" in page(a_run(never)).text
    blocked = replace(open_, verdict=replace(open_.verdict, obstacle="7 clusters of samples"))
    assert page(a_run(blocked)).with_class("mark")[0]["title"] == "7 clusters of samples"


@pytest.mark.parametrize("state", TaskState)
def test_every_state_has_its_mark_and_count(state: TaskState) -> None:
    shown = page(a_run(a_result(state=state), a_result(a_task("other"), state=state)))
    assert {mark["class"] for mark in shown.with_class("mark")} == {f"mark {state}"}
    assert f"2 {state}" in shown.text or f"{state} 2" in shown.text
    assert as_json(a_run(a_result(state=state)))["tasks"][0]["verdict"]["sota"]["state"] == state


def test_an_incomplete_task_shows_its_coverage_and_never_a_score_of_zero() -> None:
    task = a_result(score=None, counts={State.ANSWERED: 30, State.UNAVAILABLE: 5})
    shown = page(a_run(task, a_result(a_task("audio-notes", modality=Modality.AUDIO))))
    assert "Incomplete: 1 task of 2 without 20 samples" in shown.text
    assert "30 answered , 5 unavailable , 15 not asked" in shown.text
    assert "30 of 50 samples, 60%" in shown.text
    assert [row["data-task"] for row in shown.with_class("unscored")] == ["image-digits"]
    assert "no score, chance 0.100, sota 0.750" in [svg.get("aria-label") for svg in shown.all("svg")]


def test_model_caused_states_are_counted_apart() -> None:
    counts = {State.ANSWERED: 44, State.REFUSED: 3, State.INVALID: 2, State.CRASHED: 1}
    shown = page(a_run(a_result(counts=counts)))
    assert "44 answered , 3 refused , 2 invalid , 1 crashed" in shown.text


def test_an_unsupported_task_is_not_a_zero() -> None:
    task = a_result(score=None, counts={State.UNSUPPORTED: 50})
    shown = page(a_run(task))
    assert {mark["class"] for mark in shown.with_class("mark")} == {"mark unsupported"}
    assert "Incomplete" not in shown.text


def test_what_is_missing_is_listed_with_its_reason() -> None:
    whole = a_result(a_task("whole"))
    unsupported = a_result(a_task("beyond"), None, counts={State.UNSUPPORTED: 50})
    unmeasured = replace(a_result(a_task("clip"), None), not_computed="no embedder is given")
    open_task = a_result(a_task("half"), None, counts={State.ANSWERED: 20})
    alone = a_result(a_task("alone"), sota=None)
    missing = page(a_run(whole, unsupported, unmeasured, open_task, alone)).text.split("What it is good at")[0]
    rows = missing.split("which, and why")[1]
    for row in (
        "unsupported 1 Beyond not on the model's card",
        "not computed 1 Clip no embedder is given; counts 0",
        "incomplete 1 Half 30 samples without an outcome",
        "no sota 1 Alone nothing to compare with",
    ):
        assert row in rows
    assert "Whole" not in rows
    absent = replace(a_result(a_task("absent"), None, counts={State.UNSUPPORTED: 0}), sample_count=0)
    shown = page(a_run(whole, absent))
    assert "no samples 1 Absent not in this copy of the suite" in shown.text
    assert [row["data-task"] for row in shown.all("tr") if "data-task" in row] == ["whole"]
    assert "without samples here, 0 in every level: 1 of 2 tasks" in text(a_run(whole, absent))
    assert "What is missing" not in page(a_run(whole)).text


def test_the_editions_are_told_apart_by_scores_and_tasks() -> None:
    same, other = a_result(a_task("same")), replace(a_result(a_task("other")), sigmas={"2024": 82.0, "2025": 60.0})
    levels = [replace(a_level("2024"), s3=30.0), a_level("2025")]
    shown = page(a_run(same, other, levels=levels)).text.split("Where the editions differ")[1]
    assert "S3 30.0 21.5 8.5" in shown
    assert "Other (accuracy) 82.0 60.0 22.0" in shown
    assert "Same (accuracy)" not in shown
    assert "Where the editions differ" not in page(a_run(levels=[a_level("2025")])).text


def test_lift_is_the_share_of_the_way_from_chance_to_perfect() -> None:
    above, below = a_result(a_task(chance=0.2), 0.6), a_result(a_task("worse", chance=0.5), 0.4)
    shown = page(a_run(above, below)).text
    assert "60.0 60.0 50 %" in shown
    assert "40.0 40.0 -20 %" in shown
    lifts = [task["lift"]["2025"] for task in as_json(a_run(above, below))["tasks"]]
    assert lifts == pytest.approx([0.5, -0.2])


def test_means_of_groups_say_how_many_tasks_they_cover() -> None:
    missing = a_result(a_task("image-boxes", skill="detection"), None, counts={State.ANSWERED: 1})
    shown = page(a_run(a_result(), missing)).text
    assert re.search(r"modality 2024 2025 drawn ≥ sota scored image 82\.0 82\.0 1 1 / 2", shown)


def test_other_runs_are_compared_and_another_suite_is_told_apart() -> None:
    rival = replace(a_run(a_result(score=0.4)), card=replace(CARD, name="rival"))
    stranger = replace(a_run(), card=replace(CARD, name="stranger"), suite=SuiteInfo("other", "1", "ffff" + "0" * 60))
    shown = page(a_run(), rival, stranger).text
    assert "rival" in shown
    assert "another suite: other@ffff" in shown
    matrix = shown.split("Task by task: sigma of edition 2025")[1].split("What it is good at")[0]
    assert "rival" in matrix
    assert "stranger" not in matrix


def test_a_run_without_tasks_or_levels_is_still_a_page() -> None:
    empty = replace(a_run(levels=()), tasks=())
    assert "Where these numbers come from" in page(empty, a_run()).text
    assert text(empty).startswith("generalist, single")


def test_the_provenance_is_whole() -> None:
    shown = page(a_run()).text
    for fact in ("5f" * 32, "1a2b" + "0" * 60, "CC-BY-4.0", "sha256:" + "ab" * 32, "onnxruntime 1.23", "accuracy@1;"):
        assert fact in shown


def test_every_kind_of_part_is_drawn() -> None:
    canvas = Image.from_array(pixels(seed=9))
    for part in EVERY_KIND:
        shown = page(answering(part, inputs=[canvas], references=[part]))
        assert not shown.with_class("broken"), part.kind
        assert len([f for f in shown.all("figure") if f["class"] == part.kind]) >= 2


def test_media_become_players_pictures_and_drawings() -> None:
    shown = page(answering(*EVERY_KIND[3:9], inputs=[Image.from_array(pixels(grey=True))]))
    assert shown.all("audio")[0]["src"].startswith("data:audio/wav;base64,")
    assert all(img["src"].startswith("data:image/") and img["alt"] for img in shown.all("img"))
    assert shown.all("source")[0]["srcset"].startswith("data:image/webp;base64,")
    assert len(shown.with_class("cloud")) == 4
    assert "line" in shown.text


MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"


def test_encoded_media_are_played_by_the_browser_or_named() -> None:
    large = Video(MP4 + bytes(300_000), "video/mp4")
    strange = Video(b"RIFF....AVI LIST", "video/vnd.avi")
    inputs = [Video(MP4, "video/mp4"), large, strange, Audio(MP4, "audio/mp4")]
    shown = page(answering(Text("a"), inputs=inputs))
    (player,) = shown.all("video")
    assert player["src"] == f"data:video/mp4;base64,{b64encode(MP4).decode()}"
    assert not shown.with_class("broken")
    for about in ("video/mp4 of 300,024 bytes", "video/vnd.avi of 16 bytes", "audio/mp4 of 24 bytes, not decoded here"):
        assert about in shown.text


def test_an_encoded_sound_is_written_anew_for_its_player() -> None:
    out = io.BytesIO()
    soundfile.write(out, tone(), 8000, format="OGG")
    shown = page(answering(Audio(out.getvalue(), "audio/ogg")))
    assert shown.all("audio")[0]["src"].startswith("data:audio/wav;base64,")


def test_cuboids_are_drawn_from_two_sides() -> None:
    turned = Boxes((Box3D((0, 0, 0), (1, 2, 1), (0, 0, 0.6, 0.8), "car"), Box3D((5, 0, 0), (1, 1, 1))), BoxSpace.METRE)
    shown = page(answering(turned, references=[turned]))
    assert [len(path["d"].split("Z")) - 1 for path in shown.with_class("edges")] == [8] * 4
    assert "2 cuboids: car" in shown.text


def test_long_sounds_and_large_images_shrink() -> None:
    sound = Audio.from_array(np.tile(tone(), 200), 44_100)
    image = Image.from_array(pixels(1500, 2000))
    source = html(answering(sound, image))
    assert len(source) < 600_000
    assert "the first 4 s are played" in source
    assert "2000 × 1500 pixels" in source


def test_a_page_of_many_large_samples_stays_below_three_megabytes() -> None:
    noise = Image.from_array(pixels(320, 320))
    sample = a_sample(noise, inputs=[noise])
    source = html(a_run(*(a_result(a_task(f"task-{i}"), viewed=[sample] * 5) for i in range(16))))
    assert len(source.encode()) < 3_000_000
    assert "the page has no room for it" in source


# --- what it does not let through -------------------------------------------------------------------------------------

HOSTILE = (
    "<script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "</style></pre></p></figure><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\u202egnp.exe\u2066",
    "=cmd|' /C calc'!A0",
    "{{ 7 * 7 }}{% raw %}",
    "\x00\x1b[31mred\x07\ud800",
)


def hostile_run() -> RunResult:
    evil = " ".join(HOSTILE)
    card = replace(CARD, name=evil, version=evil, description=evil, engine=evil)
    viewed = ViewedSample(
        evil,
        evil,
        (Text(evil, name=evil),),
        (
            Choice.of(evil),
            Boxes((Box(0, 0, 1, 1, evil),)),
            Mask.from_array(np.eye(4, dtype=np.uint8), labels=("", evil)),
        ),
        State.INVALID,
        (
            Text(evil),
            Json(evil),
            Number(1, evil),
            Choice.of(evil),
            Tensor(b"", evil, (2,)),
            Image(evil.encode("utf-8", "replace")),
        ),
        None,
        evil,
    )
    task = replace(a_task(), title=evil, skill=evil, description=evil, instruction=evil)
    result = a_result(task, viewed=[viewed])
    result = replace(result, metric_id=evil, sota=Sota(0.5, evil))
    return replace(a_run(result, card=card, levels=[a_level("2025", notes=[evil])]), settings={evil: evil})


def test_hostile_text_is_shown_and_never_becomes_markup() -> None:
    source = html(hostile_run(), [hostile_run()])
    shown = Page(source)
    tags = {tag for tag, _ in shown.elements}
    assert not tags & {"script", "iframe", "object", "embed", "form", "base"}
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert "<script>document.title='owned'</script>" in shown.text
    assert "=cmd|' /C calc'!A0" in shown.text
    assert "{{ 7 * 7 }}" in shown.text
    assert "[U+202E]gnp.exe[U+2066]" in shown.text
    assert "[U+0000][U+001B][31mred[U+0007][U+D800]" in shown.text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", source)
    source.encode()


def test_a_megabyte_of_text_is_cut_with_a_note() -> None:
    source = html(answering(Text("x" * 1_000_000)))
    assert len(source) < 100_000
    assert "(1,000,000 characters, the first 800 are shown)" in source


@pytest.mark.parametrize(
    "broken",
    [
        Image(b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"),
        Image(Image.from_array(pixels()).data[:60]),
        Audio(b"RIFF....WAVE"),
        Audio(b"no sound", "audio/mp4"),
        Audio(b"no sound", "text/html"),
        Video(data=b"not a clip", media_type="video/mp4"),
        PointCloud(b"123", 9),
        PointCloud.from_array(np.full((3, 3), np.nan)),
        PointCloud.from_array(np.zeros((0, 3))),
        Mesh.from_array(ball(4), np.array([[0, 1, 9999]])),
        Mask(4, 4, run_lengths=(3,)),
        Boxes((Box(9, 9, 1, 1),)),
        Boxes((Box(float("nan"), 0, 1, 1),)),
        Boxes((Box(0, 0, float("inf"), 1),)),
        Tensor(b"1234", "float99", (1,)),
    ],
    ids=lambda part: part.kind,
)
def test_broken_media_are_named_and_cost_nothing_else(broken: Part) -> None:
    shown = page(answering(broken, Text("still here")))
    assert len(shown.with_class("broken")) == 1
    assert "cannot be shown" in shown.text
    assert "still here" in shown.text


def test_nothing_is_loaded_from_anywhere() -> None:
    source = html(answering(*EVERY_KIND[:6], inputs=EVERY_KIND[6:12]), [a_run()])
    for tag, attributes in Page(source).elements:
        for name in {"src", "href", "srcset", "xlink:href", "poster", "action", "data", "background"} & set(attributes):
            assert attributes[name].startswith(("#", "data:image/", "data:audio/wav", "data:,")), (tag, name)
    assert "http" not in re.sub('http-equiv|base64,[^"]*', "", source)
    assert "url(" not in source
    assert "@import" not in source


def test_the_page_names_no_host() -> None:
    for told in (html(a_run()), text(a_run()), json.dumps(as_json(a_run()))):
        assert "secret-host" not in told


def test_equal_results_give_equal_bytes() -> None:
    first, second = (html(answering(*EVERY_KIND[:6], inputs=EVERY_KIND[6:12]), [a_run()]) for _ in range(2))
    assert first == second
    assert text(a_run()) == text(a_run())


# --- what it took ---------------------------------------------------------------------------------------------------


HOSTED = TotalUsage(60, 50, Usage(1_234_567, 8_900, 2_345_600_000, 0, 90_000_000))
LOCAL = TotalUsage(50, 50, Usage(compute_us=4_500_000, queue_us=25_000))


def using(**usage: TotalUsage) -> RunResult:
    return replace(a_run(a_result(a_task("a")), a_result(a_task("b"))), usage=usage)


def test_what_is_known_of_a_run_is_shown_by_task_and_in_all() -> None:
    run = using(a=HOSTED, b=LOCAL)
    shown = cells(run)
    head = ["task", "calls", "tokens in", "tokens out", "cost", "in the model", "a call", "waited"]
    assert shown == [
        *head,
        *("A", "60", "1,234,567", "8,900", "$2.3456", "90 s", "1.5 s", "–"),
        *("B", "50", "–", "–", "–", "4.5 s", "90 ms", "0.5 ms"),
        *("all tasks", "110", "1,234,567", "8,900", "$2.3456", "94.5 s", "859 ms", "0.227 ms"),
    ]
    lines = [re.split("  +", entry) for entry in text(run).splitlines()]
    assert ["a", *shown[9:16]] in lines
    assert shown[24:] in lines
    assert as_json(run)["tasks"][1]["usage"] == {
        "calls": 50, "samples": 50, "input_token_count": None, "output_token_count": None, "cost_usd": None,
        "queue_s": 0.025, "compute_s": 4.5,
    }  # fmt: skip


def test_what_nobody_counted_has_no_column_and_what_nobody_knows_no_table() -> None:
    assert cells(using(a=LOCAL))[:5] == ["task", "calls", "in the model", "a call", "waited"]
    assert "Known of 50 of 100 samples." in page(using(a=LOCAL)).text
    assert "Known of 50 of 100 samples." in text(using(a=LOCAL))
    nothing = a_run()
    assert cells(nothing) == []
    assert "What it took" not in page(nothing).text
    assert "took" not in text(nothing)
    assert as_json(nothing)["usage"] is None
    assert as_json(nothing)["tasks"][0]["usage"] is None


@pytest.mark.parametrize(
    ("nano_usd", "said"), [(12_345, "< $0.0001"), (1_234_567, "$0.0012"), (12_345_678_900, "$12.35")]
)
def test_money_keeps_the_digits_that_matter(nano_usd: int, said: str) -> None:
    assert said in text(using(a=TotalUsage(1, 1, Usage(cost_nano_usd=nano_usd))))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.00042, "0.42 ms"), (0.5, "500 ms"), (61.5, "61.5 s"), (600, "10 min"), (90_000, "25 h 0 min")],
)
def test_times_are_told_in_the_unit_that_suits_them(seconds: float, said: str) -> None:
    assert f"  {said}  " in text(using(a=TotalUsage(2, 2, Usage(compute_us=round(seconds * 1e6)))))


# --- text and JSON ----------------------------------------------------------------------------------------------------


def test_the_table_has_a_line_for_each_level_and_task() -> None:
    incomplete = a_result(a_task("audio-notes"), None, counts={State.ANSWERED: 30})
    lines = text(a_run(a_result(), incomplete)).splitlines()
    assert lines[:2] == [
        "Level 2 certified on starter@1a2b, edition 2024 (paper: level 2, possible: level 5)",
        "Level 2 certified on starter@1a2b, edition 2025 (paper: level 3, possible: level 5)",
    ]
    assert any(re.match(r"2025 +certified +2 +48\.0 +0\.0 +0\.0 +0\.0", line) for line in lines)
    assert any(re.match(r" +paper +3 +52\.3 +21\.5 +12\.2 +0\.0", line) for line in lines)
    lead = re.escape("+0.070 (+0.020 to …)")
    assert any(
        re.match(rf"image-digits .* 0\.820 +0\.100 +0\.750 +{lead} +82\.0 +82\.0 +won +50 answered", line)
        for line in lines
    )
    assert any(re.match(r"audio-notes .* – +0\.100 .*incomplete +30 answered, 20 not asked", line) for line in lines)


def test_the_table_keeps_a_terminal_safe() -> None:
    told = text(hostile_run())
    assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", told)


def test_json_has_null_for_what_is_missing() -> None:
    incomplete = a_result(score=None, sota=None, counts={State.ANSWERED: 30})
    told = json.loads(json.dumps(as_json(a_run(incomplete)), allow_nan=False))
    assert told["levels"][1]["headline"] == "Level 2 certified on starter@1a2b, edition 2025"
    assert told["levels"][1]["certified"] == {"level": 2, "s2": 48.0, "s3": 0.0, "s4": 0.0, "s5": 0.0}
    assert told["tasks"][0]["verdict"] is None
    assert told["tasks"][0]["score"] is None
    assert told["tasks"][0]["sota"] is None
    assert told["tasks"][0]["coverage"] == 0.6
    assert told["tasks"][0]["mark"] == "incomplete"
    assert told["complete"] is False


# --- a real browser ---------------------------------------------------------------------------------------------------


def test_a_browser_opens_a_hostile_page_and_runs_nothing_of_it(tmp_path: Path) -> None:
    chromium = shutil.which("chromium")
    assert chromium, "chromium is missing: install it (apt-get install chromium) to test the report in a real browser"
    tasks = [
        *hostile_run().tasks,
        a_result(a_task("all-kinds"), viewed=[a_sample(EVERY_KIND[:6], inputs=EVERY_KIND[6:12])]),
    ]
    report = tmp_path / "report.html"
    report.write_text(html(replace(hostile_run(), tasks=tuple(tasks))), "utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet = ["--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [chromium, *flags, *quiet, profile, "--dump-dom", report.as_uri()]
    opened = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    dom = Page(opened.stdout)
    assert len([row for row in dom.all("tr") if "data-task" in row]) == 2
    assert dom.title != "owned"
    assert not dom.all("script")
    assert ":CONSOLE" not in opened.stderr, opened.stderr
