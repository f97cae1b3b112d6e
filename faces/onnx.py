"""How insightface opens an ONNX file here: on the CPU, in one thread, errors only."""

from pathlib import Path
from typing import Any

import onnxruntime
from insightface.model_zoo import get_model

# ONNX Runtime's levels: 2 warns of 2d106's declared output shape at every call, 3 is errors.
_ERRORS_ONLY = 3


def session_options() -> onnxruntime.SessionOptions:
    """One thread: two processes of one thread outrun one of two (docs/models.md)."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return options


def insightface_model(path: Path) -> Any:
    """insightface's wrapper of the ONNX file, chosen by the file's shapes."""
    return get_model(str(path), providers=["CPUExecutionProvider"], sess_options=session_options())
