"""What `make test` leaves to `make test-thorough`: further parameters of a test that it runs."""

from typing import Any

import pytest


def thorough(*values: Any) -> list[Any]:
    """Values for `pytest.mark.parametrize` that show more of what others show.

    One argument's value each, or a tuple of several arguments' values:
    `@pytest.mark.parametrize("seed", [0, 1, *thorough(2, 3, 4)])`.
    """
    return [
        pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=pytest.mark.thorough)
        for value in values
    ]
