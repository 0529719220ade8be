"""Which model serves which kind of object: the shipped ones, or those that the user names, each loaded when needed."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from nuclick_wsi.accepted import one_of
from nuclick_wsi.choices import ModelTerms, Precision
from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import ModelCard, default_model, find_model, read_card, require_terms
from nuclick_wsi.models.devices import choose_devices, stay_on_one_core
from nuclick_wsi.models.weights import Model, load_model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.segmentation.compute import NO_TURN, Compute
from nuclick_wsi.segmentation.eight_ways import EightWays
from nuclick_wsi.segmentation.segmenter import CropSegmenter, Segmenter
from nuclick_wsi.segmentation.shared_encoder import SharedEncoderSegmenter


class ModelRegistry:
    """The models of a run by kind of object, each loaded the first time that it is needed.

    Parameters
    ----------
    models
        Names of shipped models or files, or one; each serves the kind that its card names, in place of the default.
    device
        auto, cpu, cuda (all GPUs that torch sees), cuda:N or mps.
    batch_size
        Crops per batch; None for what suits the device.
    turn
        Held while a batch of any model goes through its network, where several requests use the registry.
    terms
        Which terms models may have, those that are named included.
    threads
        That compute side by side on a CPU; None for all cores that this process may use.
    precision
        Of the network's sums.
    tta
        Whether each prompt is seen in all eight turns and flips (test-time augmentation).

    Raises
    ------
    ModelError
        If a model is not there or is not one, has other terms, or two of them are for one kind.
    DeviceError
        If the device is not there.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - each has a default, and a user names them
        self,
        models: str | Path | Sequence[str | Path] = (),
        device: str = "auto",
        batch_size: int | None = None,
        turn: AbstractContextManager[object] = NO_TURN,
        terms: ModelTerms = ModelTerms.ANY,
        threads: int | None = None,
        precision: Precision | str = Precision.SINGLE,
        tta: bool = False,
    ) -> None:
        self.terms = terms
        self.tta = tta
        precision = one_of(Precision, precision, "The precision")
        first, *beside = choose_devices(device)
        self.compute = Compute(first, batch_size, turn, threads, precision, tuple(beside))
        self._models: dict[ObjectKind, Model] = {}
        self._segmenters: dict[ObjectKind, Segmenter] = {}
        self._paths: dict[ObjectKind, Path] = {}
        for model in [models] if isinstance(models, str | Path) else models:
            path = find_model(model)
            card = read_card(path)
            require_terms(card, terms)
            kind = card.kind
            if kind in self._paths:
                raise ModelError(f"{self._paths[kind]} and {path} are both for a {kind}: name one model for each kind.")
            self._paths[kind] = path

    @property
    def loaded(self) -> tuple[Model, ...]:
        """The models that have been needed so far."""
        return tuple(self._models.values())

    def path(self, kind: ObjectKind) -> Path:
        """Return the model file of a kind without loading it; ModelError where no model is for it, as for all."""
        if kind not in self._paths:
            self._paths[kind] = default_model(kind, self.terms)
        return self._paths[kind]

    def card(self, kind: ObjectKind) -> ModelCard:
        """Return the card of a kind's model without loading its weights."""
        return read_card(self.path(kind))

    def model(self, kind: ObjectKind) -> Model:
        """Return the model of a kind."""
        if kind not in self._models:
            stay_on_one_core()
            self._models[kind] = load_model(self.path(kind))
        return self._models[kind]

    def segmenter(self, kind: ObjectKind) -> Segmenter:
        """Return the segmenter that runs the model of a kind."""
        if kind not in self._segmenters:
            segmenter = segmenter_of(self.model(kind), self.compute)
            self._segmenters[kind] = EightWays(segmenter) if self.tta else segmenter
        return self._segmenters[kind]


Shelf = ModelRegistry
"""Its name in version 0.1."""


def segmenter_of(model: Model, compute: Compute) -> Segmenter:
    """Return the segmenter that runs a model's network."""
    segmenter = SharedEncoderSegmenter if model.card.architecture == "glance" else CropSegmenter
    return segmenter(model, compute)
