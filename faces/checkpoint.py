"""The tensors of a PyTorch checkpoint, read without PyTorch, which would be 200 MB for one file.

Only the layout that `torch.save` wrote before its version 1.6: five pickles (a magic number, the
protocol's version, facts about the writer, the state dictionary, the keys of the storages), then
each storage: its length and its values.
"""

import pickle
from collections import OrderedDict
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mirrorset.errors import InputError

Floats32 = NDArray[np.float32]

_MAGIC = 0x1950A86A20F9469CFC6C
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Tensor(NamedTuple):
    """A view into a storage: strides and offset count elements."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def read_checkpoint(content: bytes) -> dict[str, Floats32]:
    """The floating-point tensors of the state dictionary in `content`, by name.

    Nothing that the pickles name is imported or called. Raises InputError where `content` is no
    such checkpoint.
    """
    file = BytesIO(content)
    try:
        magic, _, _ = (_Unpickler(file).load() for _ in range(3))
        if magic != _MAGIC:
            raise InputError("This is no checkpoint that PyTorch wrote before version 1.6.")
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        keys = _Unpickler(file).load()
        values = {key: _read_storage(file, unpickler.dtypes[key]) for key in keys}
    except (pickle.UnpicklingError, EOFError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"The checkpoint cannot be read: {error!r}.") from None
    return {
        name: _view(tensor, values[tensor.key])
        for name, tensor in tensors.items()
        if values[tensor.key].dtype == np.float32
    }


class _Unpickler(pickle.Unpickler):
    """Knows ordered dictionaries, tensors and storages, and refuses every other name."""

    def __init__(self, file: BytesIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, np.dtype[Any]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, shape, strides, *_: _Tensor(key, offset, shape, strides)
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise pickle.UnpicklingError(f"it names {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return str(key)


def _read_storage(file: BytesIO, dtype: np.dtype[Any]) -> NDArray[Any]:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * dtype.itemsize), dtype, count)


def _view(tensor: _Tensor, values: NDArray[Any]) -> Floats32:
    strides = tuple(stride * values.itemsize for stride in tensor.strides)
    return np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)
