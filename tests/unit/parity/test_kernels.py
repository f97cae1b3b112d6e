"""What can be said of a kernel or a machine without a model."""

from pathlib import Path

import pytest

from mirrorset.errors import InputError, SettingsError
from parity.keys import device_name
from parity.runtimes.opening import open_session


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    model = tmp_path / "model.tflite"
    with pytest.raises(
        SettingsError, match="reference, optimised, xnnpack, xnnpack_fp16, onnxruntime"
    ):
        open_session(model, "gpu", 1)
    with pytest.raises(SettingsError, match="0 threads"):
        open_session(model, "xnnpack", 0)
    with pytest.raises(InputError, match="does not exist"):
        open_session(model, "xnnpack", 1)


def test_the_device_is_the_processor_and_its_architecture(tmp_path: Path) -> None:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text("processor\t: 0\nmodel name\t: Fast CPU 9000\n")
    assert device_name(cpu_info).startswith("Fast CPU 9000, ")
    assert device_name(tmp_path / "absent")
