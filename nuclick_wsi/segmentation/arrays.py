"""What arrays of the segmentation hold, by name."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
"""True where the object is, shape (H, W); its parts are 4-connected, so that each has one outline."""

Probabilities: TypeAlias = NDArray[np.float32]
"""How sure the network is that a pixel belongs to the object, shape (H, W), in [0, 1]."""

Pixels: TypeAlias = NDArray[np.int64]
"""Pixels as row and column, shape (N, 2), in the frame that the docstring says."""

Map: TypeAlias = NDArray[np.float32]
"""Guiding signals: 1 on the pixels that are drawn, else 0; one map (H, W), or several of them, (N, H, W)."""
