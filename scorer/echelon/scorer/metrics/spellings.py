"""Which metric of ours a spelling of General-Bench means.

The official sheet writes 46 groups of metrics in 70 ways, typing errors included. A few spellings mean something else
in another modality or task; where no official code says what is meant, the choice here is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from echelon.adapters.settings import nearest
from echelon.scorer.errors import UnknownNameError

GROUPS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "accuracy": {"Acc": "accuracy", "ACC": "accuracy"},
        "exact match": {"EM@1": "exact_match"},
        "macro accuracy": {"Macro-Acc": "macro_accuracy"},
        "micro F1": {"Micro-F1": "micro_f1"},
        "F1": {"F1": "token_f1", "F1 Score": "macro_f1", "F-score": "macro_f1"},
        "BLEU-1": {"BLEU-1": "bleu1", "BLUE_1": "bleu1"},
        "BLEU-4": {"BLEU@4": "bleu4"},
        "ROUGE-1": {"ROUGE-1": "rouge1"},
        "ROUGE-L": {"Rouge-L f": "rouge_l", "ROUGE-L": "rouge_l"},
        "CIDEr": {"CIDEr": "cider"},
        "CodeBLEU": {"CodeBLEU": "codebleu"},
        "ANLS": {"ANLS": "anls"},
        "WER": {"WER": "wer"},
        "judged by a language model": {"GPT-Score": "llm_judge"},
        "COCO AP": {"AP50": "ap50", "AP75": "ap75", "AP10": "ap10"},
        "anomaly AP": {"AP": "ap_anomaly"},
        "area under a curve": {"AUC": "success_auc"},
        "mIoU": {"mIoU": "miou"},
        "instance mIoU": {"Instance mIoU": "instance_miou"},
        "Dice": {"DICE": "dice"},
        "PQ": {"PQ": "pq"},
        "recall": {"R@50": "recall_at_50"},
        "MAE": {"MAE": "mae"},
        "squared errors": {"RMSE": "rmse", "RMS": "rms", "MSE": "mse"},
        "SAD": {"SAD": "sad"},
        "relative depth error": {"absRel": "abs_rel"},
        "end-point error": {"EPE": "epe"},
        "S-measure": {"Structure measure": "s_measure"},
        "vIoU": {"m_vIoU": "m_viou"},
        "PSNR": {"PSNR": "psnr"},
        "MS-SSIM": {"MS-SSIM": "ms_ssim"},
        "Fréchet distance": {"FID": "fid", "FVD": "fvd", "FAD": "fad"},
        "CLIP and DINO": {
            "CLIP score": "clip_score",
            "CLIPScore": "clip_score",
            "CLIP img score": "clip_image_score",
            "CLIP-Style": "clip_style",
            "DINOScore": "dino_score",
        },
        "CLAP": {"CLAP": "clap", "Style-CLAP": "style_clap"},
        "image to video": {"DINO+ViCLIP+Optical flow+Motion Smooth": "i2v"},
        "MUSIQ": {"MUSIQ": "musiq", "MUSIQ score": "musiq"},
        "aesthetics": {"Aesthetic score": "aesthetic"},
        "success rate": {
            "Successful rate": "success_rate",
            "Single-Object Successful Rate": "success_rate",
            "Multi-Object Successful Rate": "success_rate",
        },
        "flicker": {"L1 distance": "flicker_l1"},
        "optical flow": {"Optical Flow Score": "optical_flow"},
        "frame accuracy": {"Fram-Acc": "frame_accuracy"},
        "human rating": {"User preference rates": "preference_rate", "MOS": "mos"},
        "MCD": {"MCD": "mcd"},
        "music": {"E-Acc": "e_accuracy", "PCC": "pcc"},
        "Chamfer distance": {"CD (Chamfer Distance)": "chamfer"},
        "3D detection, tracking, odometry": {
            "mAP@50": "map_scannet",
            "mAP": "map_nuscenes",
            "AMOTA (Average Multi-Object Tracking Accuracy)": "amota",
            "RTE ( Relative Translation Error)": "rte",
        },
    }
)
"""The groups of the official sheet, each with its spellings and what they mean if nothing below says otherwise."""

IN_MODALITY: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("AUC", "image"): "auc",
        ("CIDEr", "audio"): "cider_speech",
        ("E-Acc", "audio"): "e_accuracy_read",
        ("F1", "audio"): "span_f1",
        ("PCC", "audio"): "pcc_read",
        ("PSNR", "video"): "psnr_video",
        ("RMSE", "image"): "rmse_image",
        ("RMSE", "3d"): "rmse_tensor",
        ("WER", "audio"): "wer_speech",
        ("mIoU", "3d"): "miou_points",
        ("mIoU", "video"): "miou_video",
    }
)
"""What a spelling means in one modality. In audio, words, classes and series are asked of generated sounds alone."""

IN_TASK: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("Acc", "EEG-based Image Generation"): "accuracy_read",
        ("CLIPScore", "Background-Consistency Text to Video Geneation"): "clip_consistency",
        ("F1 Score", "Multimodal Named Entity Recognition"): "span_f1",
        ("F1 Score", "Multimodal Relation Extraction"): "span_f1",
        ("RMSE", "3D Normal Estimation"): "rmse_normals",
    }
)
"""What a spelling means in one task."""


def canonical(spelling: str, *, modality: str | None = None, task: str | None = None) -> str:
    """The name of the metric that a spelling means; spaces and case matter only where spellings differ by them alone.

    UnknownNameError if there is none.
    """
    official = _spelled(spelling)
    return (
        IN_TASK.get((official, (task or "").strip()))
        or IN_MODALITY.get((official, modality or ""))
        or next(metrics[official] for metrics in GROUPS.values() if official in metrics)
    )


def group(spelling: str) -> str:
    """The group of a spelling; UnknownNameError if there is none."""
    official = _spelled(spelling)
    return next(name for name, metrics in GROUPS.items() if official in metrics)


def _spelled(spelling: str) -> str:
    """The official spelling of what somebody wrote."""
    spellings = [official for metrics in GROUPS.values() for official in metrics]
    if spelling in spellings:
        return spelling
    alike = [official for official in spellings if _plain(official) == _plain(spelling)]
    if not alike:
        raise UnknownNameError(f"General-Bench has no metric {spelling!r}{nearest(spelling, spellings)}")
    return alike[0]


def _plain(spelling: str) -> str:
    return "".join(spelling.casefold().split())
