"""Which metrics there are; a module is imported when one of its metrics is asked for."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points

from echelon.adapters.errors import AdapterLoadError, MissingExtraError
from echelon.adapters.settings import nearest
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.instruments import Instruments
from echelon.scorer.metrics.metric import Metric

GROUP = "echelon.metrics"

BUILT_IN = {
    "accuracy": "labels:Accuracy",
    "anls": "text:Anls",
    "ap50": "boxes:AveragePrecision50",
    "bleu1": "text:Bleu1",
    "chamfer": "points:Chamfer",
    "macro_f1": "labels:MacroF1",
    "mae": "numbers:MeanAbsoluteError",
    "micro_f1": "labels:MicroF1",
    "miou": "masks:MeanIoU",
    "psnr": "pixels:ImagePsnr",
    "psnr_audio": "pixels:AudioPsnr",
    "psnr_video": "pixels:VideoPsnr",
    "rmse": "numbers:RootMeanSquaredError",
    "wer": "text:WordErrorRate",
}


def metric(
    name: str,
    worst: float | None = None,
    labels: tuple[str, ...] = (),
    *,
    instruments: Instruments | None = None,
) -> Metric:
    """The metric called `name` for a task with these `labels` and this declared `worst`."""
    points = _points()
    if name not in points:
        raise UnknownNameError(f"there is no metric {name!r}{nearest(name, points)}")
    if len(points[name]) > 1:
        raise AdapterLoadError(
            f"metric {name!r} is declared more than once: {_origins(points[name])}; uninstall all but one"
        )
    built = _load(points[name][0])(worst, labels)
    if instruments is not None:
        built.equip(instruments)
    return built


def names() -> tuple[str, ...]:
    """The names of all metrics, plug-ins included, sorted."""
    return tuple(sorted(_points()))


def _points() -> dict[str, list[EntryPoint]]:
    own = [EntryPoint(name, f"echelon.scorer.metrics.{value}", GROUP) for name, value in BUILT_IN.items()]
    named: dict[str, list[EntryPoint]] = {}
    for point in (*own, *entry_points(group=GROUP)):
        named.setdefault(point.name, []).append(point)
    return named


def _origins(points: list[EntryPoint]) -> str:
    return ", ".join(sorted(point.dist.name if point.dist else "echelon" for point in points))


def _load(point: EntryPoint) -> type[Metric]:
    try:
        loaded = point.load()
    except MissingExtraError:
        raise
    # A plug-in's own code runs here, and may raise anything.
    except Exception as error:
        raise AdapterLoadError(f"metric {point.name!r} ({point.value}) failed to import: {error!r}") from error
    if not inspect.isclass(loaded) or not issubclass(loaded, Metric) or inspect.isabstract(loaded):
        raise AdapterLoadError(f"metric {point.name!r} ({point.value}) is not a complete subclass of Metric")
    return loaded
