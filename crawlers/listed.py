"""What a listing says of a picture that refuses it before any byte: type, size, sides and tags."""

import re
from collections.abc import Iterable

from crawlers.items import Refusal
from crawlers.terms import Terms
from mirrorset.records import Reason

_MEDIA_TYPES = frozenset({"image/jpeg", "image/png", "image/webp", "image/avif"})
# "flickr:no_cv=1" is three words, "No AI training" one: Flickr itself keeps a tag without blanks.
_WORD_END = re.compile("[:=]")
_PUNCTUATION = re.compile(r"[\W_]+")
# FFHQ asked for "no_cv" (github.com/NVlabs/ffhq-dataset); the rest are the words of the meta tags
# and headers (`crawlers.optouts`) and their plain spellings.
_OPT_OUT = re.compile(
    r"no(?:cv|ai|genai|imageai|ml)(?:training|scraping)?"
    r"|no(?:computervision|machinelearning|artificialintelligence|facerecognition"
    r"|facialrecognition|dataset|scraping)"
    r"|(?:no|dont|donot)(?:ai|ml)?train(?:ing)?"
    r"|ai(?:training)?optout"
)


def file_refusal(
    terms: Terms,
    *,
    media_type: str = "",
    size_bytes: int = 0,
    width_px: int = 0,
    height_px: int = 0,
) -> Refusal | None:
    """Why a file of these figures is not asked for, or None. What is "" or 0 is not known."""
    if media_type and media_type not in _MEDIA_TYPES:
        return Refusal(
            reason=Reason.NOT_AN_IMAGE, detail=f"The file is {media_type}, not JPEG, PNG or WebP."
        )
    if size_bytes > terms.max_bytes:
        return Refusal(
            reason=Reason.TOO_LARGE,
            detail=f"The file has {size_bytes} bytes, over {terms.max_bytes}.",
        )
    if width_px * height_px > terms.pixels.max_pixels:
        return Refusal(
            reason=Reason.DECOMPRESSION_BOMB,
            detail=f"{width_px}×{height_px} px are over {terms.pixels.max_pixels} pixels.",
        )
    if 0 < min(width_px, height_px) < terms.pixels.min_side_px:
        return Refusal(
            reason=Reason.TOO_SMALL,
            detail=f"{width_px}×{height_px} px: "
            f"the shorter side is under {terms.pixels.min_side_px} px.",
        )
    return None


def tag_refusal(tags: Iterable[str]) -> Refusal | None:
    """Why tags or categories keep a picture out, or None.

    >>> tag_refusal(["portrait", "flickr:no_cv=1"]).detail
    'Its tag “flickr:no_cv=1” opts out.'
    """
    for tag in tags:
        words = (_PUNCTUATION.sub("", word).lower() for word in _WORD_END.split(tag))
        if any(_OPT_OUT.fullmatch(word) for word in words):
            return Refusal(
                reason=Reason.OPT_OUT_TAG, detail=f"Its tag “{tag.strip()[:80]}” opts out."
            )
    return None
