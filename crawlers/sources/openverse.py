"""Openverse by its API: a search over openly licensed pictures of many providers.

https://api.openverse.org/v1/ (Image search, Image detail, Authentication). Its terms forbid to
scrape the catalogue: a search shows a small part, however it is paged, and that is all we take.
What Openverse marks as sensitive is left out by asking with mature=false.
"""

import logging
import os
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import quote, urlencode

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from crawlers.addresses import web_address
from crawlers.items import Candidate, Refusal, Statement, judge, rejected, unreadable
from crawlers.listed import file_refusal, tag_refusal
from crawlers.source import Answer, Ask, Found, Source, SourceStart
from crawlers.sources.api import as_object, elsewhere, read_object
from crawlers.terms import Terms
from mirrorset.errors import SettingsError, UnavailableError, first_fault
from mirrorset.licences import refusal
from mirrorset.records import IntendedUse, Licence, Reason, Rejected

logger = logging.getLogger(__name__)

SOURCE = "openverse"
ID_VARIABLE = "MIRRORSET_OPENVERSE_CLIENT_ID"
SECRET_VARIABLE = "MIRRORSET_OPENVERSE_CLIENT_SECRET"  # noqa: S105 -- a name, no secret
# A larger page is answered with 401 where no token comes with it.
MAX_ANONYMOUS_PAGE_SIZE = 20

# All that the API filters by, but for the retired sampling licences.
_CODES = ("cc0", "pdm", "by", "by-sa", "by-nc", "by-nc-sa", "by-nd", "by-nc-nd")
_GONE = (404, 410)
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}

Result = dict[str, Any]


class OpenverseStart(SourceStart):
    """One search on Openverse.

    query: words, at most 200 characters. providers: comma-separated names as in "flickr,wikimedia",
    or "" for all. page_size: at most 20 without credentials, 500 with them. max_pages: pages asked
    for. Openverse shows the first 240 results of a search to everyone: 12 pages of 20.
    """

    source: Literal["openverse"] = "openverse"
    api_url: str = "https://api.openverse.org"
    query: str = Field(min_length=1, max_length=200)
    providers: str = ""
    page_size: int = Field(default=MAX_ANONYMOUS_PAGE_SIZE, ge=1, le=500)
    max_pages: int = Field(default=12, ge=1, le=20)


class _Tag(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str = ""


class _Image(BaseModel):
    """One result, as the API's schema documents it."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1)
    provider: str = ""
    foreign_landing_url: str = ""
    url: str = ""
    creator: str = ""
    license: str = ""
    license_version: str = ""
    license_url: str = ""
    filetype: str = ""
    filesize: int = 0
    width: int = 0
    height: int = 0
    tags: list[_Tag] = []


class Openverse(Source[OpenverseStart]):
    """Lists what one search shows; an item's id is "provider/uuid", the uuid being Openverse's.

    The provider's own id is in no answer, and its address may change.
    """

    name = SOURCE

    def __init__(self, start: OpenverseStart, terms: Terms) -> None:
        super().__init__(start, terms)
        self._token = ""

    @property
    def title(self) -> str:
        """The source and what is searched for."""
        start = self.start
        providers = [f"providers {start.providers}"] if start.providers else []
        return " ".join([SOURCE, start.query, *providers, *elsewhere(start)])

    @property
    def address(self) -> str:
        """The API's address."""
        return self.start.api_url

    def begin(self) -> list[Ask]:
        """The search's first page. Raises SettingsError where it is too large for us."""
        if self.start.page_size > MAX_ANONYMOUS_PAGE_SIZE and not _credentials():
            raise SettingsError(
                f"Openverse's pages hold at most {MAX_ANONYMOUS_PAGE_SIZE} results without "
                f"credentials: lower page_size, or set {ID_VARIABLE} and {SECRET_VARIABLE}."
            )
        return [self._page(1)]

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """The results of a page and the page that follows, or one result asked for by its id."""
        if ask.kind == "page":
            yield self._rechecked(ask.carried["id"], answer)
            return
        said = read_object(answer, self.address)
        results, page_count = said.get("results"), said.get("page_count")
        if not isinstance(results, list) or not isinstance(page_count, int):
            raise UnavailableError(
                f"{self.address} answered no page of results ({_detail(said)}): "
                "see that it is Openverse's API."
            )
        for result in results:
            yield self._read(as_object(result), result_key(as_object(result)))
        page = int(ask.carried["page"])
        if page == 1 and page_count > self.start.max_pages:
            logger.warning(
                "Openverse has %d pages for “%s”, of which max_pages lets %d be asked for.",
                page_count, self.start.query, self.start.max_pages,
            )  # fmt: skip
        if results and page < min(page_count, self.start.max_pages):
            yield self._page(page + 1)

    def recheck(self, source_item_id: str, page_url: str, image_url: str) -> Ask:
        """Ask for the picture by its uuid."""
        del page_url, image_url
        uuid = source_item_id.rpartition("/")[2]
        return Ask(
            url=f"{self.address}/v1/images/{quote(uuid, safe='')}/",
            kind="page",
            is_api=True,
            carried={"id": source_item_id},
        )

    def login(self) -> Ask | None:
        """Ask for a token, if there are credentials. Never to be kept: they stand in the body."""
        credentials = _credentials()
        if credentials is None:
            return None
        client_id, client_secret = credentials
        asked = {
            "grant_type": "client_credentials",
            "client_id": client_id,
            "client_secret": client_secret,
        }
        return Ask(url=f"{self.address}/v1/auth_tokens/token/", is_api=True, body=urlencode(asked))

    def logged_in(self, answer: Answer) -> None:
        """Keep the token, in memory only."""
        said = read_object(answer, self.address)
        token = said.get("access_token")
        if not isinstance(token, str) or not token:
            raise UnavailableError(
                f"{self.address} gave no token ({_detail(said)}): "
                f"see that {ID_VARIABLE} and {SECRET_VARIABLE} are valid."
            )
        self._token = token

    def signed(self, ask: Ask) -> tuple[str, dict[str, str]]:
        """The address, with the token where there is one; `login` goes as a form."""
        if ask.body:
            return ask.url, dict(_FORM)
        return ask.url, {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _page(self, number: int) -> Ask:
        asked = {**search(self.start, self.terms.intended_use), "page": str(number)}
        return Ask(
            url=f"{self.address}/v1/images/?{urlencode(asked)}",
            is_api=True,
            carried={"page": number},
        )

    def _rechecked(self, key: str, answer: Answer) -> Candidate | Rejected:
        if answer.status in _GONE:
            gone = Refusal(reason=Reason.GONE, detail="Openverse lists the picture no longer.")
            return rejected(SOURCE, key, "", gone)
        return self._read(read_object(answer, self.address), key)

    def _read(self, result: Result, key: str) -> Candidate | Rejected:
        try:
            return read_result(result, key, self.terms)
        except Exception as error:
            # What one result does to us must not end the crawl.
            return rejected(SOURCE, key, "", unreadable(error))


def search(start: OpenverseStart, intended_use: IntendedUse) -> dict[str, str]:
    """The parameters of a search, its page left open."""
    asked = {
        "q": start.query,
        "source": start.providers,
        "license": ",".join(usable_licences(intended_use)),
        "extension": "jpg,jpeg,png,webp",
        "mature": "false",
        "page_size": str(start.page_size),
    }
    return {name: value for name, value in asked.items() if value}


def usable_licences(intended_use: IntendedUse) -> list[str]:
    """Openverse's codes of the licences that allow the use."""
    return [
        code for code in _CODES if refusal(Licence(code=f"CC-{code.upper()}"), intended_use) is None
    ]


def result_key(result: Result) -> str:
    """The item's id, "provider/uuid"."""
    return f"{result.get('provider') or 'unnamed'}/{result.get('id') or 'unnamed'}"


def read_result(result: Result, key: str, terms: Terms) -> Candidate | Rejected:
    """One result as a candidate, or why it is none: all that is known before a byte."""
    try:
        image = _Image.model_validate({k: v for k, v in result.items() if v is not None})
    except ValidationError as error:
        where, fault = first_fault(error)
        unread = Refusal(
            reason=Reason.NOT_AN_IMAGE, detail=f"results.{where} cannot be read: {fault}."
        )
        return rejected(SOURCE, key, "", unread)
    permit = (
        _address_refusal(image)
        or file_refusal(
            terms,
            media_type=_media_type(image.filetype),
            size_bytes=image.filesize,
            width_px=image.width,
            height_px=image.height,
        )
        or tag_refusal(tag.name for tag in image.tags)
        or judge(_statements(image), terms.intended_use)
    )
    if isinstance(permit, Refusal):
        return rejected(SOURCE, key, image.url, permit)
    return Candidate(
        source=SOURCE,
        source_item_id=key,
        page_url=web_address(image.foreign_landing_url),
        image_url=web_address(image.url),
        author=" ".join(image.creator.split()),
        permit=permit,
    )


def _address_refusal(image: _Image) -> Refusal | None:
    if not web_address(image.url):
        return Refusal(reason=Reason.NOT_AN_IMAGE, detail="The result names no picture file.")
    return None


def _media_type(filetype: str) -> str:
    lowered = filetype.strip().lower()
    return f"image/{'jpeg' if lowered == 'jpg' else lowered}" if lowered else ""


def _statements(image: _Image) -> list[Statement]:
    """The licence's address, and its code and version; they must not contradict each other."""
    prefix = "" if image.license in ("cc0", "pdm") else "CC "
    named = f"{prefix}{image.license.upper()} {image.license_version}"
    return [
        Statement(read_from="license_url", text=image.license_url),
        Statement(
            read_from="license and license_version",
            text=named if image.license and image.license_version else "",
        ),
    ]


def _credentials() -> tuple[str, str] | None:
    """Client id and secret, or None. Raises SettingsError where only one of them is set."""
    client_id, client_secret = (
        os.environ.get(variable, "").strip() for variable in (ID_VARIABLE, SECRET_VARIABLE)
    )
    if bool(client_id) != bool(client_secret):
        missing = SECRET_VARIABLE if client_id else ID_VARIABLE
        raise SettingsError(f"Openverse's credentials are two: set {missing} as well.")
    return (client_id, client_secret) if client_id else None


def _detail(said: dict[str, Any]) -> str:
    words = said.get("detail") or said.get("error_description") or said.get("error") or "no detail"
    return " ".join(str(words).split())[:200]
