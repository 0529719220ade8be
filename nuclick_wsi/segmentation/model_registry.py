"""Which model serves which kind of object: the shipped ones, or those that the user names, each loaded when needed."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import torch

from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import ModelCard, default_model, find_model, read_card
from nuclick_wsi.models.devices import choose_device
from nuclick_wsi.models.weights import Model, load_model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.segmentation.segmenter import CropSegmenter, Segmenter
from nuclick_wsi.segmentation.shared_encoder import SharedEncoderSegmenter


class ModelRegistry(Mapping[ObjectKind, Segmenter]):
    """The segmenters of a run by kind of object, each loaded the first time that it is asked for.

    Parameters
    ----------
    models
        Names of shipped models or files; each serves the kind that its card names, in place of the default.
    device
        auto, cpu, cuda, cuda:N or mps.
    batch_size
        Crops per batch; None for what suits the device.
    turn
        What every batch of every model waits for, where several threads use the registry.

    Raises
    ------
    ModelError
        If a model is not there or is not one, or two of them are for one kind.
    DeviceError
        If the device is not there.
    """

    def __init__(
        self,
        models: Sequence[str | Path] = (),
        device: str = "auto",
        batch_size: int | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        self._turn = turn
        self.device = choose_device(device)
        self.models: dict[ObjectKind, Model] = {}
        self.batch_size = batch_size
        self._segmenters: dict[ObjectKind, Segmenter] = {}
        self._paths: dict[ObjectKind, Path] = {}
        for model in models:
            path = find_model(model)
            kind = read_card(path).kind
            if kind in self._paths:
                raise ModelError(f"{self._paths[kind]} and {path} are both for a {kind}: name one model for each kind.")
            self._paths[kind] = path

    def __getitem__(self, kind: ObjectKind) -> Segmenter:
        """Return the segmenter of a kind; ModelError where no model is for it."""
        if kind not in self._segmenters:
            self.models[kind] = load_model(self.path(kind))
            self._segmenters[kind] = segmenter_of(self.models[kind], self.device, self.batch_size, self._turn)
        return self._segmenters[kind]

    def path(self, kind: ObjectKind) -> Path:
        """Return the model file of a kind without loading it; ModelError where no model is for it."""
        if kind not in self._paths:
            self._paths[kind] = default_model(kind)
        return self._paths[kind]

    def card(self, kind: ObjectKind) -> ModelCard:
        """Return the card of a kind's model without loading its weights; ModelError where no model is for it."""
        return read_card(self.path(kind))

    def __iter__(self) -> Iterator[ObjectKind]:
        return iter(self._segmenters)

    def __len__(self) -> int:
        return len(self._segmenters)


def segmenter_of(
    model: Model,
    device: torch.device,
    batch_size: int | None = None,
    turn: AbstractContextManager[object] | None = None,
) -> Segmenter:
    """Return the segmenter that runs a model's network; the parameters are the segmenters' own."""
    segmenter = SharedEncoderSegmenter if model.card.architecture == "glance" else CropSegmenter
    return segmenter(model, device, batch_size, turn)
