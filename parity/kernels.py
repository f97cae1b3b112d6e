"""The kernels that a model can run on here.

- reference: LiteRT's plain loops that define what an operation means (BUILTIN_REF)
- optimised: LiteRT's own fast kernels (BUILTIN_WITHOUT_DEFAULT_DELEGATES)
- xnnpack: the XNNPACK delegate, as apps get it by default (BUILTIN)
- xnnpack_fp16: the same, told to compute in half precision, as fast phones do
- onnxruntime: ONNX Runtime's own, on the CPU; .onnx files
"""

from importlib.metadata import version
from typing import Literal, get_args

Kernel = Literal["reference", "optimised", "xnnpack", "xnnpack_fp16", "onnxruntime"]
KERNELS: tuple[Kernel, ...] = get_args(Kernel)


def runtime_of(kernel: Kernel) -> tuple[str, str]:
    """Name and version of the runtime that has `kernel`."""
    if kernel == "onnxruntime":
        return "ONNX Runtime", version("onnxruntime")
    return "LiteRT", version("ai-edge-litert")


def delegate_of(kernel: Kernel) -> str:
    """The delegate that `kernel` asks for; how much it takes is the session's delegated_share."""
    return "XNNPACK" if kernel.startswith("xnnpack") else "none"
