"""Mask R-CNN (K. He et al. 2017) as torchvision has it, on the small encoder of the shipped models.

It finds nuclei by itself: boxes from features at three strides, and a mask of 28 x 28 in each.
"""

import importlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from nuclick_training.comparison.training_budget import TrainingBudget
from nuclick_training.datasets.data import Labels, Picture, Rgb
from nuclick_training.evaluation.metrics import Tally
from nuclick_training.fitting.fit import fit
from nuclick_training.fitting.pretrained import start_from_imagenet
from nuclick_training.fitting.run import CHECKPOINT, kept_weights, new_run
from nuclick_training.sampling.augment import Image01, augmented
from nuclick_training.sampling.batches import Batch
from nuclick_training.sampling.sampling import CropWindow, PaddedPicture
from nuclick_wsi.models.network import Encoder

_SIDE = 256
_CROPS = 2
"""Per step."""
_CHANNELS = 128
_ANCHORS = ((16,), (32,), (64,))
"""Sides of the boxes that are tried, in pixels, at strides 4, 8 and 16."""
_LEVELS = [str(level) for level in range(len(_ANCHORS))]
_MOST = 800
"""Nuclei in a picture; torchvision's own limit is 100."""
_SMALLEST = 10
"""Pixels of a nucleus to learn from; less is the rest of one at the crop's border."""
_SCORES = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


class _Backbone(nn.Module):
    """The encoder, and a feature pyramid on it; the encoder's norms stay as ImageNet left them."""

    out_channels = _CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder("lite0")
        self.pyramid = _torchvision("ops").FeaturePyramidNetwork(
            list(self.encoder.channels[1:]), _CHANNELS, norm_layer=partial(nn.GroupNorm, 32)
        )

    def train(self, mode: bool = True) -> "_Backbone":
        """Change the mode of all but the encoder."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """B x 3 x H x W in [0, 1] to features at strides 4, 8 and 16."""
        features = self.encoder(images)[1:]
        return self.pyramid(OrderedDict(zip(_LEVELS, features, strict=True)))  # type: ignore[no-any-return]


class MaskRCNN(nn.Module):
    """Finds and outlines nuclei; its `forward` is the loss that it learns by.

    Attributes
    ----------
    score
        Nuclei that it is less sure of are left out.
    """

    def __init__(self) -> None:
        super().__init__()
        boxes, masks = (_torchvision(f"models.detection.{name}") for name in ("faster_rcnn", "mask_rcnn"))
        pool = _torchvision("ops").MultiScaleRoIAlign
        sides = _torchvision("models.detection.anchor_utils").AnchorGenerator(
            _ANCHORS, ((0.5, 1.0, 2.0),) * len(_ANCHORS)
        )
        self.detector = masks.MaskRCNN(
            _Backbone(),
            image_mean=[0.0] * 3,
            image_std=[1.0] * 3,
            rpn_anchor_generator=sides,
            rpn_post_nms_top_n_train=500,
            rpn_pre_nms_top_n_test=4 * _MOST,
            rpn_post_nms_top_n_test=2 * _MOST,
            box_head=boxes.TwoMLPHead(_CHANNELS * 49, 256),
            box_predictor=boxes.FastRCNNPredictor(256, 2),
            box_roi_pool=pool(_LEVELS, output_size=7, sampling_ratio=2),
            mask_roi_pool=pool(_LEVELS, output_size=14, sampling_ratio=2),
            mask_head=masks.MaskRCNNHeads(_CHANNELS, (_CHANNELS,) * 4, 1),
            mask_predictor=masks.MaskRCNNPredictor(_CHANNELS, _CHANNELS, 2),
            box_batch_size_per_image=128,
            box_detections_per_img=_MOST,
            box_score_thresh=min(_SCORES),
        )
        self.detector.transform.resize = lambda image, target: (image, target)  # pixels stay as large as they are
        self.score = 0.5

    def forward(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """B x 3 x S x S in [0, 1] and B x S x S instance maps to the sum of the losses."""
        losses = self.detector(list(images), [_targets(one) for one in labels])
        total: torch.Tensor = sum(losses.values())
        return total

    def outline(self, image: Rgb) -> Labels:
        """Return the nuclei of an image as an instance map; where two overlap, the surer one has the pixels."""
        return self.outlines(image, [self.score])[0]

    def outlines(self, image: Rgb, scores: Sequence[float]) -> list[Labels]:
        """Return one instance map for each least score."""
        with torch.inference_mode():
            (found,) = self.detector.eval()([_planes((image / 255).astype(np.float32))])
        masks = found["masks"][:, 0].numpy() > 0.5
        maps = [np.zeros(image.shape[:2], np.int32) for _ in scores]
        for labels, least in zip(maps, scores, strict=True):
            for index in reversed(range(int((found["scores"] >= least).sum()))):  # sorted, the surest is the first
                labels[masks[index]] = index + 1
        return maps


@dataclass(frozen=True, slots=True)
class _Crops:
    """Crops at random places of pictures, with their instance maps."""

    pictures: Sequence[Picture]

    @property
    def objects(self) -> int:
        """How many objects there are."""
        return sum(len(np.unique(one.labels)) - 1 for one in self.pictures)

    def batch(self, rng: np.random.Generator, count: int, plain: bool = False) -> Batch:
        """Return images (N, 3, S, S) float32, labels (N, S, S), and the labels again as what is wanted."""
        images, labels = zip(*(self._crop(rng, plain) for _ in range(count)), strict=True)
        wanted = torch.from_numpy(np.stack(labels))
        return Batch((torch.stack(images), wanted), wanted)

    def _crop(self, rng: np.random.Generator, plain: bool) -> tuple[torch.Tensor, Labels]:
        picture = self.pictures[int(rng.integers(len(self.pictures)))]
        x, y = (float(rng.integers(max(side - _SIDE, 0) + 1)) for side in reversed(picture.labels.shape))
        image, labels = PaddedPicture(picture).cut(CropWindow(x, y, 1.0, _SIDE), Image.Resampling.BILINEAR)
        quarters = 0 if plain else int(rng.integers(4))
        coloured = (image / 255).astype(np.float32) if plain else augmented(image, rng)
        return _planes(np.rot90(coloured, quarters)), np.rot90(labels, quarters).astype(np.int64)


def learned_mask_rcnn(
    learning: Sequence[Picture], judging: Sequence[Picture], place: Path, budget: TrainingBudget
) -> MaskRCNN:
    """Train a network, or go on with a run that was begun in a folder; its least score is the best for `judging`."""
    settings = budget.settings
    torch.manual_seed(settings.seed)
    network = MaskRCNN()
    if not settings.random_start:
        start_from_imagenet(network)
    run = new_run(network, settings, budget.device)
    run.loss = lambda total, wanted, alpha: total
    place.mkdir(parents=True, exist_ok=True)
    if (place / CHECKPOINT).exists():
        run.load(place / CHECKPOINT)
    fit(run, _Crops(learning), [], replace(settings, batch=_CROPS), place)
    network.cpu().load_state_dict(kept_weights(place, "last")[0])
    maps = [network.outlines(one.image, _SCORES) for one in judging]
    network.score = max(_SCORES, key=lambda score: _dice(judging, [each[_SCORES.index(score)] for each in maps]))
    return network


def _dice(pictures: Sequence[Picture], maps: Sequence[Labels]) -> float:
    tallies = [Tally.of(one.labels, found) for one, found in zip(pictures, maps, strict=True)]
    return float(np.mean([tally.scores["Dice"] for tally in tallies]))


def _targets(labels: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the boxes (N, 4) and masks (N, S, S) of an instance map's nuclei, as torchvision takes them."""
    numbers, areas = torch.unique(labels[labels > 0], return_counts=True)
    masks = labels == numbers[areas >= _SMALLEST][:, None, None]
    boxes = _torchvision("ops").masks_to_boxes(masks) + torch.tensor([0, 0, 1, 1], device=labels.device)
    return {
        "boxes": boxes,
        "labels": torch.ones(len(boxes), dtype=torch.int64, device=labels.device),
        "masks": masks.to(torch.uint8),
    }


def _planes(image: Image01) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.moveaxis(image, 2, 0)))


def _torchvision(part: str) -> Any:
    """Return a part of torchvision."""
    return importlib.import_module(f"torchvision.{part}")


def missing_torchvision() -> str | None:
    """Return why there is no Mask R-CNN here, and what to do; None if there is one."""
    try:
        _torchvision("models.detection")
    except (ImportError, RuntimeError) as error:  # RuntimeError: it is there, for another torch
        return (
            f"Mask R-CNN is left out: it needs torchvision, of the release that goes with torch {torch.__version__} "
            f'({error}). pip install "nuclick-wsi[compare]" gets it.'
        )
    return None
