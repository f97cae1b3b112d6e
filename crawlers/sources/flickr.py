"""Flickr by its API: flickr.photos.search, with getSizes where no size is listed, and getInfo.

https://www.flickr.com/services/api/flickr.photos.search.html, .getSizes, .getInfo and
.licenses.getInfo. The key is read from MIRRORSET_FLICKR_API_KEY when a question is sent.
"""

import logging
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Any, Literal, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from crawlers.addresses import web_address
from crawlers.items import Candidate, Permit, Refusal, Statement, judge, rejected, unreadable
from crawlers.listed import file_refusal, tag_refusal
from crawlers.source import Answer, Ask, Found, Source, SourceStart
from crawlers.sources.api import as_object, busy, elsewhere, read_object
from crawlers.terms import Terms
from mirrorset.errors import SettingsError, UnavailableError, first_fault
from mirrorset.records import IntendedUse, Reason, Rejected

logger = logging.getLogger(__name__)

SOURCE = "flickr"
KEY_VARIABLE = "MIRRORSET_FLICKR_API_KEY"
# However far one pages, a search shows no more (flickr.photos.search).
MAX_RESULTS = 4000

# What each licence id stands for: the address that flickr.photos.licenses.getInfo gives, or its
# name where that address is none of a licence.
LICENCES = {
    "0": "All Rights Reserved",
    "1": "https://creativecommons.org/licenses/by-nc-sa/2.0/",
    "2": "https://creativecommons.org/licenses/by-nc/2.0/",
    "3": "https://creativecommons.org/licenses/by-nc-nd/2.0/",
    "4": "https://creativecommons.org/licenses/by/2.0/",
    "5": "https://creativecommons.org/licenses/by-sa/2.0/",
    "6": "https://creativecommons.org/licenses/by-nd/2.0/",
    "7": "No known copyright restrictions",
    "8": "United States Government Work",
    "9": "https://creativecommons.org/publicdomain/zero/1.0/",
    "10": "https://creativecommons.org/publicdomain/mark/1.0/",
    "11": "https://creativecommons.org/licenses/by/4.0/",
    "12": "https://creativecommons.org/licenses/by-sa/4.0/",
    "13": "https://creativecommons.org/licenses/by-nd/4.0/",
    "14": "https://creativecommons.org/licenses/by-nc/4.0/",
    "15": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
    "16": "https://creativecommons.org/licenses/by-nc-nd/4.0/",
}

# Sizes in a listing: the original, then 1024, 800, 640 and 500 px on the longer side.
_SIZES = ("o", "l", "c", "z", "m")
_EXTRAS = (
    "license", "owner_name", "o_dims", "original_format", "last_update", "tags", "machine_tags",
    "media", *(f"url_{size}" for size in _SIZES),
)  # fmt: skip
_UNTOLD = {"source", "api_url", "page_size", "shows_author"}
_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# 105: service unavailable; 10: its search is. Both pass.
_BUSY = frozenset({"10", "105"})
# What getSizes and getInfo say of a photo that nobody, or not we, may see.
_GONE = {"1": "The photo is deleted or private.", "2": "The photo is private."}

Photo = dict[str, Any]


class FlickrStart(SourceStart):
    """One search on Flickr, oldest uploads first, at most 4,000 photos.

    text: words in title, description or tags. tags: comma-separated; tag_mode: whether any or all
    of them. user: the uploader's NSID ("12037949754@N01"). min_upload_date, max_upload_date: first
    and last day of upload (UTC); windows of days take apart a search that finds too much.
    """

    source: Literal["flickr"] = "flickr"
    api_url: str = "https://api.flickr.com/services/rest/"
    text: str = ""
    tags: str = ""
    tag_mode: Literal["any", "all"] = "any"
    user: str = ""
    min_upload_date: date | None = None
    max_upload_date: date | None = None
    page_size: int = Field(default=500, ge=1, le=500)

    @model_validator(mode="after")
    def _asks_for_something(self) -> Self:
        if not (self.text or self.tags or self.user):
            raise ValueError("give a text, tags or a user")
        return self


class Size(NamedTuple):
    """One rendition of a photo; 0 px where unknown."""

    url: str
    width_px: int = 0
    height_px: int = 0
    is_original: bool = False


class _Photo(BaseModel):
    """A photo of a listing; Flickr writes numbers with and without quotes."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    owner: str = ""
    ownername: str = ""
    license: str = ""
    media: str = "photo"
    ispublic: str = "1"
    tags: str = ""
    machine_tags: str = ""


class Flickr(Source[FlickrStart]):
    """Lists the photos of one search whose licences allow the use."""

    name = SOURCE

    @property
    def title(self) -> str:
        """The source and what is searched for."""
        start = self.start
        asked = start.model_dump(mode="json", exclude_defaults=True, exclude=_UNTOLD)
        words = [str(asked.pop("text", "")), *(f"{name} {value}" for name, value in asked.items())]
        return " ".join(word for word in (SOURCE, *words, *elsewhere(start)) if word)

    @property
    def address(self) -> str:
        """The API's address."""
        return self.start.api_url

    def begin(self) -> list[Ask]:
        """The search's first page."""
        return [self._page(1)]

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """The photos of a page and the page that follows, or what was asked of one photo."""
        said = read_object(answer, self.address)
        if said.get("stat") == "fail":
            yield self._failed(ask, said, answer)
        elif said.get("stat") != "ok":
            raise UnavailableError(
                f"{self.address} answered without a stat: see that it is Flickr's API."
            )
        elif ask.kind == "listing":
            yield from self._listed(ask, as_object(said.get("photos")))
        elif "photo" in ask.carried:
            yield self._read(ask.carried["photo"], sizes_of_answer(said))
        else:
            yield self._rechecked(ask, as_object(said.get("photo")))

    def recheck(self, source_item_id: str, page_url: str, image_url: str) -> Ask:
        """Ask for the photo's licence, visibility and tags."""
        carried = {"id": source_item_id, "page_url": page_url, "image_url": image_url}
        return self._about("flickr.photos.getInfo", source_item_id, carried)

    def signed(self, ask: Ask) -> tuple[str, dict[str, str]]:
        """The address with the key. Raises SettingsError where there is none."""
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key:
            raise SettingsError(
                f"Flickr's API asks for a key: set {KEY_VARIABLE} to yours "
                "(www.flickr.com/services/apps/create)."
            )
        return f"{ask.url}&{urlencode({'api_key': key})}", {}

    def _page(self, number: int) -> Ask:
        asked = search(self.start, self.terms.intended_use)
        return Ask(
            url=self._url({**asked, "page": str(number)}), is_api=True, carried={"page": number}
        )

    def _about(self, method: str, photo_id: str, carried: dict[str, Any]) -> Ask:
        return Ask(
            url=self._url({"method": method, "photo_id": photo_id}),
            kind="page",
            is_api=True,
            carried=carried,
        )

    def _url(self, asked: dict[str, str]) -> str:
        return f"{self.address}?{urlencode({**asked, 'format': 'json', 'nojsoncallback': '1'})}"

    def _listed(self, ask: Ask, listing: dict[str, Any]) -> Iterator[Found]:
        photos = listing.get("photo")
        if not isinstance(photos, list):
            raise UnavailableError(
                f"{self.address} answered no list of photos: see that it is Flickr's API."
            )
        for photo in photos:
            yield self._read(as_object(photo), sizes_of_photo(as_object(photo)))
        page, total = int(ask.carried["page"]), _number(listing.get("total"))
        if page == 1 and total > MAX_RESULTS:
            logger.warning(
                "Flickr shows the first %d of the %d photos that “%s” finds: "
                "narrow it by min_upload_date and max_upload_date.",
                MAX_RESULTS, total, self.title,
            )  # fmt: skip
        shown = page * self.start.page_size
        if photos and page < _number(listing.get("pages")) and shown < MAX_RESULTS:
            yield self._page(page + 1)

    def _read(self, photo: Photo, sizes: list[Size]) -> Found:
        key = photo_key(photo)
        try:
            found = read_photo(photo, sizes, self.terms)
        except Exception as error:
            # What one photo does to us must not end the crawl.
            return rejected(SOURCE, key, "", unreadable(error))
        return found or self._about("flickr.photos.getSizes", key, {"photo": photo})

    def _failed(self, ask: Ask, said: dict[str, Any], answer: Answer) -> Rejected:
        code, message = str(said.get("code", "")), said.get("message", "")
        if code in _BUSY:
            raise busy(answer, f"{self.address} is busy: {message} ({code}).")
        if ask.kind == "page" and code in _GONE:
            refusal = Refusal(reason=Reason.GONE, detail=_GONE[code])
            return rejected(SOURCE, _asked_for(ask), "", refusal)
        hint = f": see that {KEY_VARIABLE} is valid" if code == "100" else ""
        raise UnavailableError(f"{self.address} refused the question: {message} ({code}){hint}.")

    def _rechecked(self, ask: Ask, info: dict[str, Any]) -> Found:
        photo = {**as_listed(info), "id": ask.carried["id"]}
        found = self._read(photo, [Size(ask.carried["image_url"])])
        if isinstance(found, Candidate):
            return found.model_copy(update={"page_url": ask.carried["page_url"] or found.page_url})
        return found


_NO_FILE = Refusal(reason=Reason.NOT_AN_IMAGE, detail="The photo has no JPEG, PNG or WebP file.")


def search(start: FlickrStart, intended_use: IntendedUse) -> dict[str, str]:
    """The parameters of a search, its page left open."""
    asked = {
        "method": "flickr.photos.search",
        "license": ",".join(usable_licences(intended_use)),
        "media": "photos",
        # New uploads then come last and shift no page.
        "sort": "date-posted-asc",
        "extras": ",".join(_EXTRAS),
        "per_page": str(start.page_size),
        "text": start.text,
        "tags": start.tags,
        "tag_mode": start.tag_mode if start.tags else "",
        "user_id": start.user,
        "min_upload_date": _timestamp(start.min_upload_date, time.min),
        "max_upload_date": _timestamp(start.max_upload_date, time.max),
    }
    return {name: value for name, value in asked.items() if value}


def usable_licences(intended_use: IntendedUse) -> list[str]:
    """The licence ids that allow the use."""
    return [key for key in LICENCES if not isinstance(_judged(key, intended_use), Refusal)]


def read_photo(photo: Photo, sizes: list[Size], terms: Terms) -> Candidate | Rejected | None:
    """A photo of a listing as a candidate, or why it is none; None: its sizes are to be asked for.

    What refuses it whatever its sizes are comes first.
    """
    key = photo_key(photo)
    try:
        stated = _Photo.model_validate({k: v for k, v in photo.items() if v is not None})
    except ValidationError as error:
        where, fault = first_fault(error)
        unread = Refusal(
            reason=Reason.NOT_AN_IMAGE, detail=f"photo.{where} cannot be read: {fault}."
        )
        return rejected(SOURCE, key, "", unread)
    permit = _photo_refusal(stated) or _judged(stated.license, terms.intended_use)
    if isinstance(permit, Refusal):
        return rejected(SOURCE, key, "", permit)
    if not sizes:
        return None
    best = largest(sizes, terms.pixels.max_pixels)
    if best is None:
        return rejected(SOURCE, key, "", _NO_FILE)
    if refusal := file_refusal(terms, width_px=best.width_px, height_px=best.height_px):
        return rejected(SOURCE, key, best.url, refusal)
    return Candidate(
        source=SOURCE,
        source_item_id=key,
        page_url=_page_url(stated),
        image_url=best.url,
        author=" ".join(stated.ownername.split()),
        permit=permit,
    )


def photo_key(photo: Photo) -> str:
    """The photo's id."""
    return str(photo.get("id") or "unnamed")


def largest(sizes: list[Size], max_pixels: int) -> Size | None:
    """The original where it has no more than max_pixels, else the largest size that has.

    The smallest of all where none has; None where no size is a JPEG, PNG or WebP.
    """
    usable = [size for size in sizes if urlsplit(size.url).path.lower().endswith(_SUFFIXES)]
    fitting = [size for size in usable if size.width_px * size.height_px <= max_pixels]
    if fitting:
        return max(fitting, key=lambda size: (size.is_original, size.width_px * size.height_px))
    return min(usable, key=lambda size: size.width_px * size.height_px, default=None)


def sizes_of_photo(photo: Photo) -> list[Size]:
    """The sizes that a listing names: url_o, width_o, height_o and so on."""
    return [
        Size(
            url,
            _number(photo.get(f"width_{name}")),
            _number(photo.get(f"height_{name}")),
            is_original=name == "o",
        )
        for name in _SIZES
        if (url := _address(photo.get(f"url_{name}")))
    ]


def sizes_of_answer(said: dict[str, Any]) -> list[Size]:
    """The sizes that flickr.photos.getSizes names; one without an address where it names none."""
    listed = as_object(said.get("sizes")).get("size")
    entries = [as_object(size) for size in listed] if isinstance(listed, list) else []
    sizes = [
        Size(
            url,
            _number(size.get("width")),
            _number(size.get("height")),
            is_original=size.get("label") == "Original",
        )
        for size in entries
        if size.get("media", "photo") == "photo" and (url := _address(size.get("source")))
    ]
    return sizes or [Size("")]


def as_listed(info: dict[str, Any]) -> Photo:
    """What flickr.photos.getInfo says of a photo, in the fields of a listing."""
    owner, tags = as_object(info.get("owner")), as_object(info.get("tags")).get("tag")
    named = [as_object(tag) for tag in tags] if isinstance(tags, list) else []
    return {
        "owner": owner.get("nsid"),
        "ownername": owner.get("username"),
        "license": info.get("license"),
        "media": info.get("media"),
        "ispublic": as_object(info.get("visibility")).get("ispublic"),
        "tags": " ".join(str(tag.get("_content", "")) for tag in named),
    }


def _photo_refusal(photo: _Photo) -> Refusal | None:
    if photo.ispublic == "0":
        return Refusal(reason=Reason.GONE, detail=_GONE["2"])
    if photo.media != "photo":
        return Refusal(reason=Reason.NOT_AN_IMAGE, detail=f"It is a {photo.media}, not a photo.")
    return tag_refusal([*photo.tags.split(), *photo.machine_tags.split()])


def _judged(licence_id: str, intended_use: IntendedUse) -> Permit | Refusal:
    read_from = f"license {licence_id} (flickr.photos.licenses.getInfo)"
    text = LICENCES.get(licence_id, licence_id)
    return judge([Statement(read_from=read_from, text=text)], intended_use)


def _page_url(photo: _Photo) -> str:
    if photo.owner:
        return f"https://www.flickr.com/photos/{photo.owner}/{photo.id}/"
    return f"https://www.flickr.com/photo.gne?id={photo.id}"


def _asked_for(ask: Ask) -> str:
    return str(ask.carried.get("id") or photo_key(ask.carried.get("photo", {})))


def _timestamp(day: date | None, moment: time) -> str:
    return str(int(datetime.combine(day, moment, UTC).timestamp())) if day else ""


def _address(value: object) -> str:
    return web_address(value) if isinstance(value, str) else ""


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else 0
