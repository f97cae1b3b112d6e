"""The same photograph is found, as it is or altered, and nobody else's."""

from curation.sought import SoughtPicture
from mirrorset.pixels import decode


def test_the_same_photograph_is_found_and_nobody_else(portraits: list) -> None:
    for one in portraits:
        sought = SoughtPicture(decode(one.content))
        half = one.but(picture=one.picture.resize((202, one.picture.height // 2)))
        for copy in (one.reencoded(30), one.mirrored(), half):
            assert sought.may_be(copy.image.phash)
            assert sought.is_shown_by(decode(copy.content))
        others = [other for other in portraits if other is not one]
        assert not any(sought.is_shown_by(decode(other.content)) for other in others)
