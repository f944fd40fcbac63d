"""Which metrics there are; a module is imported when one of its metrics is asked for."""

from __future__ import annotations

import inspect
from importlib.metadata import EntryPoint, entry_points

from echelon.adapters.errors import AdapterLoadError, MissingExtraError
from echelon.adapters.registry import owners
from echelon.adapters.settings import nearest
from echelon.scorer.errors import UnknownNameError
from echelon.scorer.instruments import Instruments
from echelon.scorer.metrics.metric import Metric

GROUP = "echelon.metrics"

BUILT_IN = {
    "abs_rel": "fields:RelativeDepthError",
    "abs_rel_official": "fields:OfficialRelativeDepthError",
    "accuracy": "labels:Accuracy",
    "accuracy_contains": "text:Containment",
    "accuracy_contains_label_official": "official:OfficialLabelContainment",
    "accuracy_contains_official": "official:OfficialContainment",
    "accuracy_official": "official:OfficialAccuracy",
    "accuracy_read": "readings:ReadAccuracy",
    "aesthetic": "judged:Aesthetic",
    "amota": "tracking:Amota",
    "anls": "text:Anls",
    "ap10": "boxes:AveragePrecision10",
    "ap50": "boxes:AveragePrecision50",
    "ap50_keypoints": "instances:KeypointsAveragePrecision50",
    "ap50_masks": "instances:MaskAveragePrecision50",
    "ap75": "boxes:AveragePrecision75",
    "ap75_keypoints": "instances:KeypointsAveragePrecision75",
    "ap75_masks": "instances:MaskAveragePrecision75",
    "ap_anomaly": "scoremaps:AnomalyAveragePrecision",
    "ap_coco": "boxes:CocoAveragePrecision",
    "ap_coco_keypoints": "instances:CocoKeypointsAveragePrecision",
    "ap_coco_masks": "instances:CocoMaskAveragePrecision",
    "auc": "scoremaps:AreaUnderRoc",
    "bleu1": "text:Bleu1",
    "bleu1_characters": "characters:CharactersBleu1",
    "bleu1_nltk_official": "official:OfficialNltkBleu1",
    "bleu1_official": "official:OfficialBleu1",
    "bleu1_video_official": "official:OfficialVideoBleu1",
    "bleu4": "text:Bleu4",
    "bleu4_characters": "characters:CharactersBleu4",
    "cer": "characters:CharacterErrorRate",
    "cer_speech": "readings:SpeechCharacterErrorRate",
    "chamfer": "points:Chamfer",
    "chamfer_squared": "points:SquaredChamfer",
    "chamfer_surface": "points:SurfaceChamfer",
    "cider": "captions:Cider",
    "cider_speech": "readings:SpeechCider",
    "clap": "embeddings:Clap",
    "clip_consistency": "embeddings:ClipConsistency",
    "clip_image_score": "embeddings:ClipImageScore",
    "clip_score": "embeddings:ClipScore",
    "clip_style": "embeddings:ClipStyle",
    "codebleu": "code_bleu:CodeBleu",
    "codebleu_official": "code_bleu:OfficialCodeBleu",
    "dice": "masks:Dice",
    "dino_score": "embeddings:DinoScore",
    "e_accuracy": "labels:EAccuracy",
    "e_accuracy_read": "readings:ReadEAccuracy",
    "entity_f1": "spans:EntityF1",
    "epe": "fields:EndPointError",
    "epe_official": "official_video:OfficialEndPointError",
    "exact_match": "text:ExactMatch",
    "f1_weighted": "labels:WeightedF1",
    "fad": "frechet:FrechetAudio",
    "fid": "frechet:FrechetImage",
    "flicker_l1": "clips:FlickerL1",
    "frame_accuracy": "embeddings:FrameAccuracy",
    "fvd": "frechet:FrechetVideo",
    "hota": "tracking:Hota",
    "i2v": "judged:ImageToVideo",
    "idf1": "tracking:Idf1",
    "instance_miou": "masks:InstanceMeanIoU",
    "j_and_f_official": "official_video:OfficialTracking",
    "llm_judge": "opinions:LanguageModelJudge",
    "m_viou": "tracks:MeanVideoIoU",
    "m_viou_official": "official_video:OfficialMeanVideoIoU",
    "macro_accuracy": "labels:MacroAccuracy",
    "macro_f1": "labels:MacroF1",
    "mae": "numbers:MeanAbsoluteError",
    "mae_official": "official:OfficialMeanAbsoluteError",
    "map_nuscenes": "cuboids:NuScenesAveragePrecision",
    "map_scannet": "cuboids:ScanNetAveragePrecision",
    "mcd": "sounds:MelCepstralDistortion",
    "micro_f1": "labels:MicroF1",
    "micro_f1_official": "official:OfficialMicroF1",
    "miou": "masks:MeanIoU",
    "miou_points": "masks:PointMeanIoU",
    "miou_video": "masks:VideoMeanIoU",
    "miou_video_official": "official_video:OfficialVideoMeanIoU",
    "mos": "opinions:MeanOpinionScore",
    "mota": "tracking:Mota",
    "ms_ssim": "structure:MultiScaleSsim",
    "mse": "pixels:MatteMse",
    "mse_number": "numbers:MeanSquaredError",
    "musiq": "judged:Musiq",
    "optical_flow": "judged:OpticalFlow",
    "pcc": "numbers:Correlation",
    "pcc_read": "readings:ReadCorrelation",
    "pq": "masks:PanopticQuality",
    "preference_rate": "opinions:PreferenceRate",
    "psnr": "pixels:ImagePsnr",
    "psnr_audio": "pixels:AudioPsnr",
    "psnr_video": "pixels:VideoPsnr",
    "psnr_video_official": "pixels:OfficialVideoPsnr",
    "recall_at_50": "spans:RecallAt50",
    "rms": "fields:TensorRms",
    "rmse": "numbers:RootMeanSquaredError",
    "rmse_image": "pixels:ImageRmse",
    "rmse_normals": "fields:NormalsRmse",
    "rmse_tensor": "fields:TensorRmse",
    "rouge1": "text:Rouge1",
    "rouge1_plain": "text:PlainRouge1",
    "rouge_l": "text:RougeL",
    "rouge_l_plain": "text:PlainRougeL",
    "rpe": "poses:RelativePoseError",
    "rte": "poses:RelativeTranslationError",
    "s_measure": "structure:StructureMeasure",
    "s_measure_official": "structure:OfficialStructureMeasure",
    "sad": "pixels:MatteSad",
    "span_f1": "spans:SpanF1",
    "ssim": "structure:Ssim",
    "style_clap": "embeddings:StyleClap",
    "success_auc": "tracks:SuccessAuc",
    "success_rate": "judged:SuccessRate",
    "token_f1": "text:TokenF1",
    "token_f1_characters": "characters:CharactersF1",
    "token_f1_official": "official:OfficialTokenF1",
    "wer": "text:WordErrorRate",
    "wer_characters": "characters:CharactersErrorRate",
    "wer_mean": "text:MeanWordErrorRate",
    "wer_speech": "readings:SpeechWordErrorRate",
}


def metric(
    name: str,
    worst: float | None = None,
    labels: tuple[str, ...] = (),
    *,
    instruments: Instruments | None = None,
) -> Metric:
    """The metric called `name` for a task with these `labels` and this declared `worst`."""
    built = _load(_point(name))(worst, labels)
    if instruments is not None:
        built.instruments = instruments
    return built


def metric_type(name: str) -> type[Metric]:
    """Return the class of the metric called `name`: its direction, unit and range, without instruments or `worst`.

    Raises UnknownNameError for an unknown name, AdapterLoadError for a plug-in that does not load or is ambiguous, and
    MissingExtraError for one whose module needs a package that is not installed.
    """
    # Looking for plug-ins reads the disk: too slow for each of a benchmark's 700 tasks.
    return _load(_built_in(name) if name in BUILT_IN else _point(name))


def names() -> tuple[str, ...]:
    """The names of all metrics, plug-ins included, sorted."""
    return tuple(sorted(_points()))


def _point(name: str) -> EntryPoint:
    points = _points()
    if name not in points:
        raise UnknownNameError(f"there is no metric {name!r}{nearest(name, points)}")
    if len(points[name]) > 1:
        declared = owners(points[name], built_in="echelon")
        raise AdapterLoadError(f"metric {name!r} is declared more than once: {declared}; uninstall all but one")
    return points[name][0]


def _points() -> dict[str, list[EntryPoint]]:
    named: dict[str, list[EntryPoint]] = {}
    for point in (*map(_built_in, BUILT_IN), *entry_points(group=GROUP)):
        named.setdefault(point.name, []).append(point)
    return named


def _built_in(name: str) -> EntryPoint:
    return EntryPoint(name, f"echelon.scorer.metrics.{BUILT_IN[name]}", GROUP)


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
