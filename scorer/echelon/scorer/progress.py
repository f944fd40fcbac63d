"""How a run goes, for people: a live display on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from echelon.scorer.outcomes import State
from echelon.scorer.suites.suite import Task

if TYPE_CHECKING:
    from rich.progress import Progress

_LINE_EVERY_S = 10.0
_TITLE_COLUMNS = 28


class Silence:
    """Says nothing."""

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """See Watcher."""

    def ended(self, task: Task, state: State) -> None:
        """See Watcher."""

    def trouble(self, text: str) -> None:
        """See Watcher."""

    def close(self) -> None:
        """Leave the screen as it is."""


class Lines(Silence):
    """A line at the start, every few seconds, and whenever there is trouble."""

    def __init__(self, out: TextIO, what: str) -> None:
        self._out = out
        self._what = what
        self._done = self._total = self._failed = 0
        self._said = monotonic()
        self._trouble = ""

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """Say how much there is to do."""
        self._total = sum(total for _, total, _ in tasks)
        self._done = sum(done for _, _, done in tasks)
        resumed = f", {self._done} of them done before" if self._done else ""
        self._say(f"{len(tasks)} tasks, {self._total} samples{resumed}")

    def ended(self, task: Task, state: State) -> None:
        """Count, and say so now and then."""
        self._done += 1
        self._failed += state is not State.ANSWERED
        if monotonic() - self._said > _LINE_EVERY_S:
            self._say(f"{self._done} of {self._total} samples, {self._failed} failed, at {task.id}")

    def trouble(self, text: str) -> None:
        """Say what is being waited for, once."""
        if text and text != self._trouble:
            self._say(f"waiting: {text}")
        self._trouble = text

    def _say(self, text: str) -> None:
        self._said = monotonic()
        print(f"{self._what}: {printable(text)}", file=self._out, flush=True)


class Live(Silence):
    """Two bars with rich, the whole run's and the current task's, and a line for trouble."""

    def __init__(self, out: TextIO, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        # No markup: titles and errors are others' text.
        self._progress: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False, style="red"),
            console=Console(file=out),
            transient=True,
        )
        self._what = what
        self._ends: dict[str, list[int]] = {}
        """Of each task: done, failed, all."""
        self._failed = 0
        self._whole = self._progress.add_task(what, total=None, note="")
        self._current = self._progress.add_task("", total=None, note="", visible=False)
        self._shown = ""
        self._progress.start()

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """Say how much there is to do."""
        self._ends = {task.id: [done, 0, total] for task, total, done in tasks}
        total, done = sum(t for _, t, _ in tasks), sum(d for _, _, d in tasks)
        self._progress.reset(self._whole, total=total, completed=done, note="")

    def ended(self, task: Task, state: State) -> None:
        """Move the bars."""
        ends = self._ends[task.id]
        ends[0] += 1
        if state is not State.ANSWERED:
            ends[1] += 1
            self._failed += 1
            self._progress.update(self._whole, note=f"{self._failed} failed")
        self._progress.advance(self._whole)
        self._show(task, *ends)

    def _show(self, task: Task, done: int, failed: int, total: int) -> None:
        note = f"{failed} failed" if failed else ""
        if task.id != self._shown:
            self._shown = task.id
            title = "  " + printable(task.title)[:_TITLE_COLUMNS]
            self._progress.reset(self._current, total=total, completed=done, description=title, visible=True, note=note)
        else:
            self._progress.update(self._current, completed=done, note=note)

    def trouble(self, text: str) -> None:
        """Show it instead of the model's name."""
        told = f"{self._what}: {printable(text)[:200]}" if text else self._what
        self._progress.update(self._whole, description=told)

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()


def printable(text: str) -> str:
    """Another's text on one line and without anything that could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def watcher(out: TextIO, what: str, *, quiet: bool) -> Silence:
    """What suits where the output goes."""
    if quiet:
        return Silence()
    return Live(out, what) if out.isatty() else Lines(out, what)
