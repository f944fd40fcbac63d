"""Metrics of videos that need no reference."""

from __future__ import annotations

from itertools import pairwise

from echelon.adapters import Kind, Part, Video
from echelon.scorer.metrics.metric import InvalidAnswer, MeanMetric, expect, read_answer


class FlickerL1(MeanMetric):
    """The mean over videos of how little a frame differs from the one before: 1 less the mean difference by 255.

    Temporal flickering of VBench: Huang et al. 2024, arXiv 2311.17982. References are not looked at.
    """

    name = "flicker_l1"
    variant = "@1;peak=255;frames=mean"
    kind = Kind.VIDEO
    references_are_answers = False

    def value(self, prediction: Part, reference: Part) -> float:
        import numpy as np

        frames = read_answer(lambda part: expect(part, Video).array(), prediction)
        if len(frames) < 2:
            raise InvalidAnswer("a video of one frame cannot flicker")
        differences = [np.abs(frame.astype(np.int16) - before).mean() for before, frame in pairwise(frames)]
        return 1 - float(np.mean(differences)) / 255
