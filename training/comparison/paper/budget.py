"""What a table of the paper is made again with: data, folders, lengths."""

from dataclasses import dataclass
from pathlib import Path

from nuclick_training.comparison.training_budget import TrainingBudget


@dataclass(frozen=True, slots=True)
class Budget:
    """Where the data sets are, where runs are kept, and how each network is trained.

    Attributes
    ----------
    objects
        So many of the test images' objects at most, where systems are compared side by side; None for all.
    own_networks
        Whether systems that learn are also trained on the networks of their own papers.
    """

    data: Path
    out: Path
    training: TrainingBudget
    objects: int | None = None
    own_networks: bool = False
