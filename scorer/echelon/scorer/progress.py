"""How a run goes, for people: a live display on a terminal, plain lines in a log."""

from __future__ import annotations

from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING, TextIO

from echelon.scorer.outcomes import State
from echelon.scorer.printing import printable
from echelon.scorer.suites.suite import Task

if TYPE_CHECKING:
    from rich.console import Group

_LINE_EVERY_S = 10.0
_TITLE_COLUMNS = 24


class Silence:
    """Says nothing."""

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """See Watcher."""

    def ended(self, task: Task, state: State) -> None:
        """See Watcher."""

    def trouble(self, text: str) -> None:
        """See Watcher."""

    def notice(self, text: str) -> None:
        """See Watcher."""

    def close(self) -> None:
        """Leave the screen as it is."""


class Notices(Silence):
    """Nothing but what has to be known."""

    def __init__(self, out: TextIO, what: str) -> None:
        self._out = out
        self._what = what

    def notice(self, text: str) -> None:
        """Print it."""
        print(f"{self._what}: {printable(text)}", file=self._out, flush=True)


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

    def notice(self, text: str) -> None:
        """Print it."""
        self._say(text)

    def _say(self, text: str) -> None:
        self._said = monotonic()
        print(f"{self._what}: {printable(text)}", file=self._out, flush=True)


class Live(Silence):
    """Two bars with rich, the whole run's and the current task's, and under them what is being waited for."""

    def __init__(self, out: TextIO, what: str) -> None:
        from rich.console import Console
        from rich.live import Live as Display
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        # No markup: titles and errors are others' text.
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", markup=False, style="red"),
        )
        self._whole = self._progress.add_task(what[:_TITLE_COLUMNS], total=None, note="")
        self._current = self._progress.add_task("", total=None, note="", visible=False)
        self._what = what
        self._ends: dict[str, list[int]] = {}
        """Of each task: done, failed, all."""
        self._failed = 0
        self._shown = ""
        self._trouble = ""
        self._console = Console(file=out)
        self._display = Display(get_renderable=self._picture, console=self._console, transient=True)
        self._display.start()

    def begin(self, tasks: Sequence[tuple[Task, int, int]]) -> None:
        """Say how much there is to do."""
        self._ends = {task.id: [done, 0, total] for task, total, done in tasks}
        total, done = sum(t for _, t, _ in tasks), sum(d for _, _, d in tasks)
        self._progress.reset(self._whole, total=total, completed=done)

    def ended(self, task: Task, state: State) -> None:
        """Move the bars."""
        failed = state is not State.ANSWERED
        self._failed += failed
        ends = self._ends[task.id]
        ends[0] += 1
        ends[1] += failed
        self._progress.update(self._whole, advance=1, note=_failures(self._failed))
        self._show(task, *ends)

    def _show(self, task: Task, done: int, failed: int, total: int) -> None:
        if task.id != self._shown:
            self._shown = task.id
            title = "  " + printable(task.title)[: _TITLE_COLUMNS - 2]
            self._progress.reset(self._current, total=total, description=title, visible=True)
        self._progress.update(self._current, completed=done, note=_failures(failed))

    def trouble(self, text: str) -> None:
        """Show it under the bars."""
        self._trouble = f"waiting: {printable(text)}" if text else ""

    def notice(self, text: str) -> None:
        """Print it above the bars."""
        self._console.print(f"{self._what}: {printable(text)}", markup=False, highlight=False)

    def _picture(self) -> Group:
        from rich.console import Group
        from rich.text import Text

        # A full line would wrap when the terminal echoes ^C, and could not be taken away again.
        told = self._trouble[: max(8, self._console.width - 4)]
        return Group(self._progress, *([Text(told, "yellow")] if told else []))

    def close(self) -> None:
        """Take everything away."""
        self._display.stop()


def _failures(number: int) -> str:
    return f"{number} failed" if number else ""


def watcher(out: TextIO, what: str, *, quiet: bool) -> Silence:
    """What suits where the output goes."""
    if quiet:
        return Notices(out, what)
    return Live(out, what) if out.isatty() else Lines(out, what)
