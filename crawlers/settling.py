"""What a fetched picture comes to, judged by its bytes."""

import hashlib

from crawlers.embedded import read_embedded
from crawlers.items import Picture, Refusal, judge, unreadable
from mirrorset.pixels import PixelParams, UnusableImageError, inspect
from mirrorset.records import Evidence, ImageRecord, IntendedUse, Reason, Sighting, utc_now


def settle(
    picture: Picture,
    params: PixelParams,
    intended_use: IntendedUse,
    crawler: str,
    shows_author: bool = False,
) -> tuple[ImageRecord, Sighting] | Refusal:
    """What a fetched picture comes to, judged by its bytes.

    A licence in the file counts beside the one it was fetched for: the more restrictive decides.
    shows_author: as the start that found it says (`crawlers.source.SourceStart`).
    """
    try:
        return _settle(picture, params, intended_use, crawler, shows_author)
    except Exception as error:
        # Hostile bytes make decoders raise anything; that is one item's end, not the crawl's.
        return unreadable(error)


def _settle(
    picture: Picture,
    params: PixelParams,
    intended_use: IntendedUse,
    crawler: str,
    shows_author: bool,
) -> tuple[ImageRecord, Sighting] | Refusal:
    candidate = picture.candidate
    if candidate.sha1 and _sha1(picture.content) != candidate.sha1.lower():
        return Refusal(
            reason=Reason.CHECKSUM, detail=f"The bytes do not have the sha1 {candidate.sha1}."
        )
    try:
        image = inspect(picture.content, params)
    except UnusableImageError as unusable:
        return Refusal(reason=unusable.reason, detail=unusable.detail)
    embedded = read_embedded(picture.content)
    if embedded.mining_reserved_by:
        return Refusal(
            reason=Reason.OPT_OUT_TDM,
            detail=f"The file's metadata says {embedded.mining_reserved_by}.",
        )
    stated = [] if candidate.permit is None else [candidate.permit.statement]
    permit = judge([*stated, *embedded.statements], intended_use)
    if isinstance(permit, Refusal):
        return permit
    sighting = Sighting(
        image_id=image.image_id,
        source=candidate.source,
        source_item_id=candidate.source_item_id,
        page_url=candidate.page_url,
        image_url=candidate.image_url,
        licence=permit.licence,
        author=candidate.author or embedded.author,
        evidence=Evidence(
            licence_read_from=permit.statement.read_from,
            licence_text=permit.statement.text,
            version=candidate.version or candidate.sha1,
            host_files=picture.host_files,
            headers=picture.headers,
            crawler=crawler,
        ),
        seen_at=utc_now(),
        subject_ids=candidate.subject_ids,
        age_band=candidate.age_band,
        tone=candidate.tone,
        shows_author=shows_author,
    )
    return image, sighting


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
