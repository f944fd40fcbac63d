"""Metrics that a judge gives: a network's mark of quality, of motion, of success.

Without a judge of the metric's role nothing is computed.
"""

from __future__ import annotations

from typing import ClassVar

from echelon.adapters import Kind, Part
from echelon.scorer.errors import NotComputedError
from echelon.scorer.instruments import Judge, instrument_id, measured
from echelon.scorer.metrics.embeddings import consistency, directions, mean_cosine, views
from echelon.scorer.metrics.metric import MeanMetric, read_answer, read_reference


class JudgedMetric(MeanMetric):
    """The mean over the samples of a judge's mark, by the mark that is full."""

    role: ClassVar[str]
    """What the judge is listed under."""
    full: ClassVar[float] = 1.0
    others: ClassVar[tuple[Kind, ...]] = ()
    """Kinds that are judged, beside `kind`."""
    shows_reference: ClassVar[bool] = False
    """Whether the judge sees the reference, a prompt, say."""
    by_frame: ClassVar[bool] = False
    """Whether a video's mark is the mean of its frames' marks."""
    references_are_answers = False

    @property
    def id(self) -> str:
        return f"{super().id};{self.role}={instrument_id(self.judge)}"

    @property
    def judge(self) -> Judge:
        """The judge of the metric's role; NotComputedError where there is none."""
        return self.instruments.judge(self.role)

    def takes(self, kind: Kind) -> bool:
        return kind in (self.kind, *self.others, Kind.NUMBER)

    def value(self, prediction: Part, reference: Part) -> float:
        shown = read_answer(views, prediction) if self.by_frame else [prediction]
        references = (reference,) if self.shows_reference else ()
        return sum(mark(self.judge, part, references, self.full) for part in shown) / len(shown)


class Musiq(JudgedMetric):
    """The technical quality of pictures or frames. Ke et al. 2021, arXiv 2108.05997."""

    name = "musiq"
    variant = "@1;full=100;frames=mean"
    kind = Kind.VIDEO
    others = (Kind.IMAGE,)
    role, full, by_frame = "musiq", 100.0, True


class Aesthetic(JudgedMetric):
    """The beauty of pictures or frames, by a head on CLIP's vectors. Huang et al. 2024, arXiv 2311.17982."""

    name = "aesthetic"
    variant = "@1;full=10;frames=mean"
    kind = Kind.VIDEO
    others = (Kind.IMAGE,)
    role, full, by_frame = "aesthetic", 10.0, True


class OpticalFlow(JudgedMetric):
    """How much videos move: the dynamic degree of VBench, Huang et al. 2024, arXiv 2311.17982."""

    name = "optical_flow"
    variant = "@1;full=1"
    kind = Kind.VIDEO
    role = "dynamic_degree"


class SuccessRate(JudgedMetric):
    """Share of the videos that show what the prompt, which is the reference, asks for: marks of at least a half."""

    name = "success_rate"
    variant = "@1;threshold=0.5"
    kind = Kind.VIDEO
    role, shows_reference = "success", True

    def value(self, prediction: Part, reference: Part) -> float:
        return float(super().value(prediction, reference) >= 0.5)


class ImageToVideo(MeanMetric):
    """The mean over videos of four marks: consistency of the subject, fit to the prompt, smoothness, and motion.

    The reference is the prompt. General-Level's evaluator adds the four up, its sheet has their mean.
    """

    name = "i2v"
    variant = "@1;parts=dino+viclip+motion_smoothness+dynamic_degree;mean=parts"
    kind = Kind.VIDEO
    references_are_answers = False

    @property
    def id(self) -> str:
        embedders = {role: self.instruments.embedder(role) for role in ("dino", "viclip")}
        judges = {role: self.instruments.judge(role) for role in ("motion_smoothness", "dynamic_degree")}
        named = (f"{role}={instrument_id(each)}" for role, each in (*embedders.items(), *judges.items()))
        return f"{super().id};{';'.join(named)}"

    def value(self, prediction: Part, reference: Part) -> float:
        dino, viclip = self.instruments.embedder("dino"), self.instruments.embedder("viclip")
        smooth, moving = self.instruments.judge("motion_smoothness"), self.instruments.judge("dynamic_degree")
        subject = consistency(read_answer(lambda part: directions(dino, views(part)), prediction))
        whole = read_answer(lambda part: directions(viclip, [part]), prediction)
        prompt = read_reference(lambda part: directions(viclip, [part]), reference)
        marks = (mark(smooth, prediction), mark(moving, prediction))
        return (subject + mean_cosine(whole, prompt) + sum(marks)) / 4


def mark(judge: Judge, answer: Part, references: tuple[Part, ...] = (), full: float = 1.0) -> float:
    """A judge's mark by the full one, 0 to 1."""
    given = read_answer(lambda part: measured(judge, lambda: judge.judge(part, references)), answer)
    if not 0 <= given <= full:
        raise NotComputedError(f"{judge.name} gave the mark {given}, which must lie between 0 and {full:g}")
    return given / full
