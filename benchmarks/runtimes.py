"""Torch as we run it against ONNX Runtime, one core, milliseconds per crop; needs `pip install "nuclick-wsi[cpu]"`."""

import io
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch

from nuclick_wsi.models.network import build, fused

BATCH = 8
REPEATS = 4


def milliseconds(work: Callable[[], object]) -> float:
    """Return processor time per crop, after one warm-up."""
    work()
    begun = time.process_time()
    for _ in range(REPEATS):
        work()
    return 1000 * (time.process_time() - begun) / (REPEATS * BATCH)


def main() -> None:
    try:
        import onnxruntime
    except ImportError:
        print('skipped: onnxruntime is not installed; pip install "nuclick-wsi[cpu]"')
        return
    torch.set_num_threads(1)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    for width in (0.25, 1.0):
        network = fused(build("nuclick", {"width": width}))
        crops = torch.rand(BATCH, 5, 128, 128).to(memory_format=torch.channels_last)
        model = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(network, (crops,), model, input_names=["crops"], dynamo=False)
        session = onnxruntime.InferenceSession(model.getvalue(), options, providers=["CPUExecutionProvider"])
        same = np.ascontiguousarray(crops.numpy())
        with torch.inference_mode():
            of_torch = milliseconds(lambda network=network, crops=crops: network(crops))
        of_onnx = milliseconds(lambda session=session, same=same: session.run(None, {"crops": same}))
        print(f"width {width}: torch {of_torch:.1f}, ONNX Runtime {of_onnx:.1f}, ratio {of_torch / of_onnx:.2f}")


if __name__ == "__main__":
    main()
