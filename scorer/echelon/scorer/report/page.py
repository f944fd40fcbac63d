"""A run's result as one HTML file that needs nothing else."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from echelon.scorer.report import charts, identity, usage, wording
from echelon.scorer.report.differences import differences
from echelon.scorer.report.gallery import gallery
from echelon.scorer.report.gaps import gaps
from echelon.scorer.report.groups import groupings
from echelon.scorer.report.prose import clipped
from echelon.scorer.results import RunResult

if TYPE_CHECKING:
    from jinja2 import Environment


def html(result: RunResult, others: Sequence[RunResult] = ()) -> str:
    """The report; `others` are compared with it, and told apart where they ran another suite."""
    style = files(__package__).joinpath("templates", "style.css").read_text("utf-8")
    comparable = [other for other in others if other.suite.digest == result.suite.digest]
    return _environment().get_template("report.html.j2").render(
        result=result,
        others=others,
        compared=[result, *comparable],
        style=Markup(style),  # noqa: S704  # our own file
        style_hash=b64encode(sha256(style.encode()).digest()).decode(),
        exhibits=gallery(result.tasks_here),
        groupings=groupings(result),
        gaps=gaps(result),
        judged=list(zip(result.levels, result.verdicts, strict=True)),
        differences=differences(result),
        editions=wording.editions(result),
    )  # fmt: skip


def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("echelon.scorer.report"),
        autoescape=True,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals.update(charts=charts, identity=identity, usage=usage, wording=wording)
    return environment


def _finalized(value: Any) -> Any:
    """Whatever the page prints: our own markup as it is, all other text with its invisible characters named."""
    return clipped(value, 4_000) if isinstance(value, str) and not isinstance(value, Markup) else value
