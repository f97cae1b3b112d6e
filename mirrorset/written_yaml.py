"""YAML that people write: nothing in it is passed over in silence."""

import math
from pathlib import Path
from typing import Any

import yaml

from mirrorset.errors import SettingsError


def read_yaml(path: Path) -> Any:
    """What the YAML file at `path` says.

    Raises FileNotFoundError, and SettingsError naming file and line where it is no valid YAML, a
    key stands twice (else the last would win), or a number is none that can be compared (.inf,
    .nan).
    """
    try:
        text = path.read_text(encoding="utf-8")
        return yaml.load(text, _Loader)  # noqa: S506  (it is a SafeLoader)
    except RecursionError:
        raise SettingsError(f"{path} is not valid YAML: it is nested too deeply.") from None
    except (yaml.YAMLError, ValueError) as error:
        # Python refuses numbers of thousands of digits with a ValueError, as it does wrong bytes.
        words = " ".join(str(error).split()).rstrip(".")
        raise SettingsError(f"{path} is not valid YAML: {words}.") from None


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, key in enumerate(written):
            if key in written[:number] and key != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands there twice", node.value[number][0].start_mark
                )
        return super().construct_mapping(node, deep)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        value = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value} is no number to measure by", node.start_mark
            )
        return float(value)


_Loader.add_constructor("tag:yaml.org,2002:float", _Loader.construct_yaml_float)
