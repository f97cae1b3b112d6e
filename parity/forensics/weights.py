"""A .tflite file that keeps its weights behind its tables, as one that keeps them within."""

import struct

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from mirrorset.errors import InputError
from parity.normalise import written

_IDENTIFIER = b"TFL3"
# Smaller offsets are none.
_IS_BEHIND = 1


def with_weights_within(content: bytes, name: str) -> bytes:
    """The same model with each buffer's bytes in its table; the content itself where they are.

    ai-edge-quantizer leaves buffers of 1 KB and more behind the tables. name: the file's, for
    messages. Raises InputError where the content is cut off or its tables cannot be read; what is
    no .tflite file at all comes back as it is, for `normalised` to refuse.
    """
    if content[4:8] != _IDENTIFIER:
        return content
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
        behind = [buffer for buffer in model.buffers if buffer.offset > _IS_BEHIND]
    except (struct.error, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{name} is damaged ({error}): copy or convert it again.") from None
    if not behind:
        return content
    for buffer in behind:
        data = content[buffer.offset : buffer.offset + buffer.size]
        if len(data) < buffer.size:
            raise InputError(f"{name} is cut off: copy or convert it again.")
        buffer.data, buffer.offset, buffer.size = np.frombuffer(data, np.uint8), 0, 0
    return written(model)
