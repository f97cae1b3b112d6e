"""Every hostile file is refused for its own reason, in words that name what it is."""

import pytest
from hostile_files import HOSTILE, HostileFile

from mirrorset.errors import InputError
from mirrorset.pixels import PixelParams, UnusableImageError, decode, inspect
from mirrorset.records import Reason


@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name)
def test_it_is_refused_for_its_own_reason(file: HostileFile) -> None:
    with pytest.raises(UnusableImageError) as refusal:
        inspect(file.content, PixelParams())
    assert refusal.value.reason is file.reason
    assert file.words in refusal.value.detail
    assert "object at" not in refusal.value.detail


@pytest.mark.parametrize("file", HOSTILE, ids=lambda file: file.name)
def test_it_is_not_decoded(file: HostileFile) -> None:
    if file.reason is Reason.TOO_SMALL:
        assert decode(file.content).size
    else:
        with pytest.raises(InputError, match="cannot be decoded"):
            decode(file.content)


def test_there_are_many_and_no_two_are_alike() -> None:
    assert len(HOSTILE) >= 70
    assert len({file.name for file in HOSTILE}) == len(HOSTILE)
    assert len({file.content for file in HOSTILE}) == len(HOSTILE)
