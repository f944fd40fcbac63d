"""What a run amounts to, as a page, as text and as JSON; each is a function of the result alone."""

from echelon.scorer.report.page import html
from echelon.scorer.report.record import as_json
from echelon.scorer.report.table import text

__all__ = ["as_json", "html", "text"]
