"""Metrics that people give, or a language model in their place. Without their ratings nothing is computed."""

from __future__ import annotations

from echelon.adapters import Kind, Part
from echelon.scorer.errors import NotComputedError
from echelon.scorer.metrics.judged import JudgedMetric


class LanguageModelJudge(JudgedMetric):
    """The mean mark, 0 to 1, that a judge gives an answer beside its reference: GPT-Score in General-Bench."""

    name = "llm_judge"
    variant = "@1;full=1"
    kind = Kind.TEXT
    role, shows_reference = "answer", True


class MeanOpinionScore(JudgedMetric):
    """The mean opinion of listeners, 1 to 5: ITU-T P.800."""

    name = "mos"
    variant = "@1;full=5"
    kind = Kind.AUDIO
    unit = ""
    range = (1.0, 5.0)
    role, full = "opinion", 5.0

    def value(self, prediction: Part, reference: Part) -> float:
        opinion = self.full * super().value(prediction, reference)
        if opinion < self.range[0]:
            raise NotComputedError(f"{self.judge.name} gave the opinion {opinion:g}, which must lie between 1 and 5")
        return opinion


class PreferenceRate(JudgedMetric):
    """Share of the people who prefer an answer to its rival, averaged over the samples."""

    name = "preference_rate"
    variant = "@1;full=1"
    kind = Kind.VIDEO
    others = (Kind.IMAGE, Kind.AUDIO, Kind.TEXT)
    role = "preference"
