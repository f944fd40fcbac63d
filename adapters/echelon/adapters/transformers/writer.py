"""Checkpoints that write: text, and what is read from it or from its likelihood."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING

from echelon.adapters.calls import Answer, Call, Outcome, Request, Usage
from echelon.adapters.content import Audio, Boxes, Choice, Image, Kind, Part, ScoredLabel, Text, Video
from echelon.adapters.errors import EchelonError, InvalidInputError, OutOfMemoryError, UnsupportedError
from echelon.adapters.pytorch import is_out_of_memory
from echelon.adapters.transformers import media, reading
from echelon.adapters.transformers.decoding import decode
from echelon.adapters.transformers.inputs import Input, Reader, collated, grouped
from echelon.adapters.transformers.offers import narrowed, probe, supports_of
from echelon.adapters.transformers.prompts import Prompts
from echelon.adapters.transformers.rows import Labels, Row, TextRow
from echelon.adapters.transformers.sampling import Choosing

if TYPE_CHECKING:
    from echelon.adapters.calls import Returned
    from echelon.adapters.card import CallSupport
    from echelon.adapters.pytorch import Ceiling
    from echelon.adapters.transformers.checkpoint import Checkpoint
    from echelon.adapters.transformers.settings import TransformersSettings

PROBE_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Job:
    """One row, and what the model reads for it."""

    read: Input
    row: Row
    is_scored: bool
    """Whether nothing may bend the model's own likelihoods."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request on its way: its rows, and what becomes of them."""

    request: Request
    kind: Kind
    read: Input
    rows: tuple[Row, ...]
    labels: Labels | None = None


class Writer:
    """Answers in text, or with a label that its likelihood chose."""

    def __init__(self, checkpoint: Checkpoint, settings: TransformersSettings, ceiling: Ceiling) -> None:
        self._checkpoint = checkpoint
        self._settings = settings
        self._ceiling = ceiling
        self._prompts = Prompts(checkpoint, settings)
        self._reader = Reader(checkpoint, self._prompts)
        self._choosing = Choosing(checkpoint, settings)
        taken = supports_of(self._attempt, has_boxes=settings.coordinates is not None)
        self.supports = narrowed(taken, settings)

    def probe(self, call: Call) -> Request | None:
        return probe(self._support(call), PROBE_TOKENS)

    def _support(self, call: Call) -> CallSupport:
        return next(support for support in self.supports if support.call is call)

    def _attempt(self, request: Request) -> None:
        """Answer a request, as far as it takes to tell whether the checkpoint can; InvalidInputError if not."""
        read = self._reader.read(request)
        if not any(isinstance(part, Image | Audio | Video) for part in request.parts):
            return
        try:
            self._run([Job(read, self._row(request, read), is_scored=False)])
        # Some processors take more than their models, which then fail in whatever way.
        except Exception as error:
            if is_out_of_memory(error):
                raise OutOfMemoryError("the model's device has not enough memory for a single call") from error
            raise InvalidInputError("the model fails on a request like this one") from error

    def answer(self, requests: Sequence[Request]) -> list[Returned]:
        questions = [self._question(request) for request in requests]
        self._decode([question for question in questions if isinstance(question, Question)])
        return [self._returned(question) if isinstance(question, Question) else question for question in questions]

    def stream(self, request: Request) -> Iterator[str | Outcome] | None:
        return self._streamed(request) if self._kind(request) is Kind.TEXT else None

    # How a request becomes rows.

    def _question(self, request: Request) -> Question | EchelonError:
        try:
            kind = self._kind(request)
            read = self._reader.read(request)
            if kind is Kind.CHOICE:
                labels = self._labels(request, read)
                return Question(request, kind, read, tuple(labels.rows(request)), labels)
            return Question(request, kind, read, (self._row(request, read),))
        except EchelonError as error:
            return error

    def _kind(self, request: Request) -> Kind:
        """The first kind that is asked for and given; a request that offers labels and names no kind wants a choice."""
        given = self._support(request.call).output_kinds
        preferred = request.output_kinds or (*((Kind.CHOICE,) if request.labels else ()), Kind.TEXT, *given)
        for kind in preferred:
            if kind in given:
                return kind
        raise UnsupportedError(f"the model gives no {' or '.join(preferred)}")

    def _row(self, request: Request, read: Input, hear: Callable[[str], None] | None = None) -> TextRow:
        asked = request.sampling.max_token_count
        most = self._settings.generation.max_token_count if asked is None else max(1, asked)
        if self._checkpoint.context is not None:
            most = min(most, self._checkpoint.context - read.token_count)
        return TextRow(request, most, self._choosing.chance(request), self._choosing.ends, self._text, hear)

    def _text(self, tokens: Sequence[int], *, special: bool = False) -> str:
        text: str = self._checkpoint.tokenizer.decode(
            tokens, skip_special_tokens=not special, clean_up_tokenization_spaces=False
        )
        return text

    def _labels(self, request: Request, read: Input) -> Labels:
        if not request.labels:
            raise InvalidInputError("the call asks for a choice and offers no labels to choose from")
        before = None if self._checkpoint.is_encoder_decoder else self._tokens(read.prompt)
        return Labels([self._label_tokens(read.prompt, before, label) for label in request.labels], self._choosing.end)

    def _label_tokens(self, prompt: str, before: list[int] | None, label: str) -> list[int]:
        """The tokens of a label as they follow those of the prompt; by themselves it may begin otherwise."""
        if before is not None:
            whole = self._tokens(prompt + label)
            if whole[: len(before)] == before and len(whole) > len(before):
                return whole[len(before) :]
        alone = self._tokens(label)
        if not alone:
            raise InvalidInputError(f"the label {label!r} has no token in the model's vocabulary")
        return alone

    def _tokens(self, text: str) -> list[int]:
        return list(self._checkpoint.tokenizer(text, add_special_tokens=False)["input_ids"])

    # How rows are decoded.

    def _decode(self, questions: Sequence[Question]) -> None:
        jobs = [Job(question.read, row, question.labels is not None) for question in questions for row in question.rows]
        for group in grouped(jobs, lambda job: (job.is_scored, job.read.form, self._alone(job))):
            for job, done in zip(group, self._ceiling.run(group, self._run), strict=True):
                if isinstance(done, EchelonError):
                    job.row.fail(done)

    def _alone(self, job: Job) -> int | None:
        # A batch changes the last bits of a sum, and that may be another answer to the same call.
        return id(job) if self._settings.deterministic else None

    def _run(self, jobs: Sequence[Job]) -> Sequence[Job]:
        # A first try that ran out of memory may have begun them.
        for job in jobs:
            job.row.restart()
        tensors = collated(
            [job.read for job in jobs], self._choosing.pad, on_the_left=not self._checkpoint.is_encoder_decoder
        )
        most = max(job.row.most for job in jobs)
        decode(
            self._checkpoint,
            tensors,
            [job.row for job in jobs],
            self._choosing.config(most, is_scored=jobs[0].is_scored),
        )
        return jobs

    # How rows become outcomes.

    def _returned(self, question: Question) -> Returned:
        failed = next((row.error for row in question.rows if row.error is not None), None)
        if failed is not None:
            return failed
        usage = Usage(question.read.token_count, sum(len(row.tokens) for row in question.rows))
        try:
            return self._outcome(question, usage)
        except EchelonError as error:
            error.usage = usage
            return error

    def _outcome(self, question: Question, usage: Usage) -> Answer:
        if question.labels is not None:
            return Answer((self._choice(question.request, question.labels),), usage=usage)
        (row,) = question.rows
        assert isinstance(row, TextRow)
        return Answer((self._part(question, row),), row.finish_reason, usage)

    def _choice(self, request: Request, labels: Labels) -> Choice:
        import numpy as np

        totals = np.array(labels.scores(per_token=self._settings.label_score == "per_token"))
        likely = np.exp(totals - totals.max())
        likely /= likely.sum()
        best = np.argsort(-totals, kind="stable")
        return Choice(tuple(ScoredLabel(request.labels[place], float(likely[place])) for place in best))

    def _part(self, question: Question, row: TextRow) -> Part:
        if question.kind is Kind.NUMBER:
            return reading.number_in(row.text())
        if question.kind is Kind.JSON:
            return reading.json_in(row.text())
        if question.kind is Kind.BOXES:
            # Some models mark their boxes, and what is in them, with special tokens.
            return self._boxes(question, self._text(row.tokens, special=True))
        return Text(row.text())

    def _boxes(self, question: Question, text: str) -> Boxes:
        assert self._settings.coordinates is not None
        pixels = question.request.first(Image).array().shape
        size = (pixels[0], pixels[1])
        processor = self._checkpoint.processor.image_processor
        seen = media.seen_size(processor, question.read.tensors.get("image_grid_thw"), size)
        return self._settings.coordinates.read(text, seen, size)

    # How an answer is streamed.

    def _streamed(self, request: Request) -> Generator[str | Outcome]:
        read = self._reader.read(request)
        pieces: SimpleQueue[str | Returned | BaseException] = SimpleQueue()
        question = Question(request, Kind.TEXT, read, (self._row(request, read, pieces.put),))
        thread = Thread(target=self._speak, args=(question, pieces.put), name="streams text", daemon=True)
        thread.start()
        sent, is_over = "", False
        try:
            while isinstance(piece := pieces.get(), str):
                if len(piece) > len(sent):
                    yield piece[len(sent) :]
                    sent = piece
            is_over = True
        finally:
            # Whoever closes the stream early waits no more.
            request.cancellation.cancelled |= not is_over
            thread.join()
        if isinstance(piece, BaseException):
            raise piece
        yield piece

    def _speak(self, question: Question, say: Callable[[str | Returned | BaseException], None]) -> None:
        try:
            self._decode([question])
            (row,) = question.rows
            assert isinstance(row, TextRow)
            say(row.text())
            say(self._returned(question))
        except BaseException as error:  # noqa: BLE001  (it is raised again where the stream is read)
            say(error)
