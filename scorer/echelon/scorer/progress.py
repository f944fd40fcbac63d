"""How a run goes, for people: a live display on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from echelon.scorer.outcomes import State
from echelon.scorer.suites.suite import Task

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LINE_EVERY_S = 10.0


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
        resumed = f", {self._done} answered before" if self._done else ""
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
        print(f"{self._what}: {text}", file=self._out, flush=True)


class Live(Silence):
    """A bar a task, with rich."""

    def __init__(self, what: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress: Progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(compact=True),
            console=Console(stderr=True),
            transient=True,
        )
        self._what = what
        self._all: TaskID | None = None
        self._bars: dict[str, TaskID] = {}
        self._failed: dict[str, int] = {}

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """Draw the bars."""
        total, done = sum(t for _, t, _ in tasks), sum(d for _, _, d in tasks)
        self._all = self._progress.add_task(f"[bold]{self._what}", total=total, completed=done, note="")
        for task, samples, finished in tasks:
            self._bars[task.id] = self._progress.add_task(task.title, total=samples, completed=finished, note="")
        self._progress.start()

    def ended(self, task: Task, state: State) -> None:
        """Move the bars."""
        bar = self._bars[task.id]
        if state is not State.ANSWERED:
            self._failed[task.id] = self._failed.get(task.id, 0) + 1
            self._progress.update(bar, note=f"[red]{self._failed[task.id]} failed")
        self._progress.advance(bar)
        if self._all is not None:
            self._progress.advance(self._all)

    def trouble(self, text: str) -> None:
        """Show it beside the first bar."""
        if self._all is not None:
            self._progress.update(self._all, note=f"[yellow]{text}")

    def close(self) -> None:
        """Take the bars away."""
        self._progress.stop()


def watcher(out: TextIO, what: str, *, quiet: bool) -> Silence:
    """What suits where the output goes."""
    if quiet:
        return Silence()
    return Live(what) if out.isatty() else Lines(out, what)
