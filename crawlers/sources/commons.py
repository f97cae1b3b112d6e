"""Wikimedia Commons by its MediaWiki API: generator → imageinfo with extmetadata, continued.

https://www.mediawiki.org/wiki/API:Imageinfo, API:Search, API:Categorymembers, API:Allimages,
API:Continue and Manual:Maxlag_parameter.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self
from urllib.parse import urlencode

from parsel import Selector
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from crawlers.addresses import web_address
from crawlers.items import Candidate, Refusal, Statement, judge, rejected, unreadable
from crawlers.listed import file_refusal, tag_refusal
from crawlers.source import Answer, Ask, Found, Source, SourceStart
from crawlers.sources.api import as_object, busy, elsewhere, read_object
from crawlers.terms import Terms
from mirrorset.errors import UnavailableError, first_fault
from mirrorset.records import Reason, Record, Rejected

SOURCE = "commons"
# The wiki is busy: the same question is asked again later.
_BUSY = frozenset({"maxlag", "ratelimited", "readonly"})
_LICENCE_FIELDS = ("LicenseUrl", "LicenseShortName", "UsageTerms")
# Restrictions such as "personality" only inform and match no opt-out.
_TAG_FIELDS = ("Categories", "Restrictions")
_PROPERTIES = {
    "prop": "imageinfo",
    "iiprop": "url|size|mime|sha1|extmetadata|user",
    "iiextmetadatalanguage": "en",
}

Page = dict[str, Any]


class CommonsStart(SourceStart):
    """Wikimedia Commons, or any MediaWiki with the same API: a search, a category or a user.

    search: words for the wiki's search, images only. category: its name, without "Category:".
    user: name of an uploader, all of whose files are listed, oldest first. page_size: images an
    API answer lists. maxlag_s: the API is asked to refuse us while its databases lag more than
    this (MediaWiki's `maxlag`).
    """

    source: Literal["commons"] = "commons"
    api_url: str = "https://commons.wikimedia.org/w/api.php"
    search: str = ""
    category: str = ""
    user: str = ""
    page_size: int = Field(default=50, ge=1, le=500)
    maxlag_s: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if sum(map(bool, (self.search, self.category, self.user))) != 1:
            raise ValueError("give a search, a category or a user, and only one of them")
        return self


class QueryAnswer(Record):
    """One answer to action=query. continuation: parameters that ask for the rest, or empty."""

    pages: tuple[Page, ...] = ()
    continuation: dict[str, str] = Field(default_factory=dict)
    is_batch_complete: bool = True
    error_code: str = ""
    error_info: str = ""


class _ImageInfo(BaseModel):
    """One imageinfo entry; all fields are optional as the API leaves out what it lacks."""

    model_config = ConfigDict(extra="ignore")

    url: str = ""
    descriptionurl: str = ""
    descriptionshorturl: str = ""
    mime: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    sha1: str = ""
    user: str = ""
    extmetadata: dict[str, Any] = {}

    @field_validator("extmetadata", mode="before")
    @classmethod
    def _empty_is_a_list(cls, value: object) -> object:
        # PHP writes an empty array for an empty object.
        return value or {}

    def words(self, field: str) -> str:
        """The text of an extmetadata field, or ""."""
        return plain(str(as_object(self.extmetadata.get(field)).get("value", "")))


class Commons(Source[CommonsStart]):
    """Lists the files of one search, category or user."""

    name = SOURCE

    @property
    def title(self) -> str:
        """The source, its way in, and the wiki where it is another."""
        start = self.start
        ways = {"category": start.category, "user": start.user}
        words = [f"{way} {value}" for way, value in ways.items() if value]
        return " ".join([SOURCE, start.search, *words, *elsewhere(start)]).replace("  ", " ")

    @property
    def address(self) -> str:
        """The API's address."""
        return self.start.api_url

    def begin(self) -> list[Ask]:
        """The listing's first batch."""
        return [self._listing({}, {})]

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """The pages of a batch once it is whole, then what follows."""
        said = read_answer(answer, self.address)
        if said.error_code in _BUSY:
            raise busy(answer, f"{self.address} is busy: {said.error_code}: {said.error_info}")
        if said.error_code:
            raise UnavailableError(
                f"{self.address} refused the question: {said.error_code}: {said.error_info}."
            )
        if ask.kind == "page":
            yield self._rechecked(ask.carried["id"], said.pages)
            return
        batch = merge(ask.carried.get("batch", {}), said.pages)
        is_whole = said.is_batch_complete or not said.continuation
        if is_whole:
            for page in in_order(batch):
                yield self._read(page, page_key(page))
        if said.continuation:
            following = self._listing(said.continuation, {} if is_whole else batch)
            if following.url == ask.url:
                raise UnavailableError(f"{self.address} continues the listing where it began.")
            yield following

    def recheck(self, source_item_id: str, page_url: str, image_url: str) -> Ask:
        """Ask for the page by its id, or by its title where that is its id."""
        del page_url, image_url
        named = "pageids" if source_item_id.isdecimal() else "titles"
        # The continuation of a single file leads to its older versions: it is not followed.
        return Ask(
            url=self._url({named: source_item_id}),
            kind="page",
            is_api=True,
            carried={"id": source_item_id},
        )

    def _listing(self, continuation: Mapping[str, str], batch: Mapping[str, Page]) -> Ask:
        return Ask(
            url=self._url({**generator(self.start), **continuation}),
            is_api=True,
            carried={"batch": dict(batch)} if batch else {},
        )

    def _url(self, asked: Mapping[str, str]) -> str:
        always = {
            "action": "query",
            "format": "json",
            "formatversion": "2",
            "maxlag": str(self.start.maxlag_s),
            **_PROPERTIES,
        }
        return f"{self.address}?{urlencode({**always, **asked})}"

    def _rechecked(self, key: str, pages: tuple[Page, ...]) -> Candidate | Rejected:
        if not pages:
            refusal = Refusal(
                reason=Reason.HTTP_ERROR, detail="The answer holds no page.", is_retryable=True
            )
            return rejected(SOURCE, key, "", refusal)
        return self._read(pages[0], key)

    def _read(self, page: Page, key: str) -> Candidate | Rejected:
        try:
            return read_page(page, key, self.terms)
        except Exception as error:
            # What one page does to us must not end the crawl.
            return rejected(SOURCE, key, "", unreadable(error))


def generator(start: CommonsStart) -> dict[str, str]:
    """The parameters that list files."""
    limit = str(start.page_size)
    if start.search:
        return {
            "generator": "search",
            "gsrsearch": f"{start.search} filetype:bitmap",
            "gsrnamespace": "6",
            "gsrlimit": limit,
        }
    if start.category:
        return {
            "generator": "categorymembers",
            "gcmtitle": f"Category:{start.category}",
            "gcmtype": "file",
            "gcmlimit": limit,
        }
    return {
        "generator": "allimages",
        "gaiuser": start.user,
        # The only order in which the API lists a user's files.
        "gaisort": "timestamp",
        "gailimit": limit,
    }


def read_answer(answer: Answer, address: str) -> QueryAnswer:
    """An answer of either formatversion. Raises UnavailableError where it is no such answer."""
    said = read_object(answer, address)
    if error := as_object(said.get("error")):
        return QueryAnswer(
            error_code=str(error.get("code", "unknown")), error_info=str(error.get("info", ""))
        )
    pages = as_object(said.get("query")).get("pages") or []
    listed = list(pages.values()) if isinstance(pages, dict) else pages
    is_answer = "query" in said or "batchcomplete" in said
    if not is_answer or not isinstance(listed, list):
        raise UnavailableError(
            f"{address} answered no list of pages: see that it is a MediaWiki API."
        )
    return QueryAnswer(
        pages=tuple(page for page in listed if isinstance(page, dict)),
        continuation=_continuation(as_object(said.get("continue"))),
        # formatversion 1 writes "" for true.
        is_batch_complete=said.get("batchcomplete", False) is not False,
    )


def _continuation(stated: Mapping[str, object]) -> dict[str, str]:
    """Parameters of the next question; "continue" alone, without a position, leads nowhere."""
    return {key: str(value) for key, value in stated.items()} if set(stated) - {"continue"} else {}


def merge(batch: Mapping[str, Page], pages: tuple[Page, ...]) -> dict[str, Page]:
    """The pages of a batch with what a continued answer adds: lists grow, the rest stays.

    So a file's current version stays before the older ones that a continuation may bring.
    """
    merged = dict(batch)
    for page in pages:
        key = page_key(page)
        held = merged.get(key, {})
        merged[key] = {**page, **held} | {
            name: [*held[name], *value]
            for name, value in page.items()
            if isinstance(value, list) and isinstance(held.get(name), list)
        }
    return merged


def in_order(pages: Mapping[str, Page]) -> list[Page]:
    """Pages in the listing's order: by the search's index, otherwise by page id."""
    return sorted(
        pages.values(), key=lambda page: (_number(page, "index"), _number(page, "pageid"))
    )


def _number(page: Page, field: str) -> int:
    value = page.get(field)
    return value if isinstance(value, int) else 0


def page_key(page: Page) -> str:
    """A page's stable id: its page id, or its title where it has none (another wiki's file)."""
    return str(page.get("pageid") or page.get("title") or "unnamed")


def read_page(page: Page, key: str, terms: Terms) -> Candidate | Rejected:
    """One page of an answer as a candidate, or why it is none: all that is known before a byte."""
    infos = page.get("imageinfo") or []
    stated = infos[0] if isinstance(infos, list) and infos else {}
    if _is_gone(page, as_object(stated)):
        refusal = Refusal(reason=Reason.GONE, detail="The page or its file has been deleted.")
        return rejected(SOURCE, key, "", refusal)
    try:
        info = _ImageInfo.model_validate(stated)
    except ValidationError as error:
        where, fault = first_fault(error)
        refusal = Refusal(
            reason=Reason.NOT_AN_IMAGE, detail=f"imageinfo.{where} cannot be read: {fault}."
        )
        return rejected(SOURCE, key, "", refusal)
    permit = (
        _naming_refusal(key, info)
        or file_refusal(
            terms,
            media_type=info.mime,
            size_bytes=info.size,
            width_px=info.width,
            height_px=info.height,
        )
        or tag_refusal(tag for field in _TAG_FIELDS for tag in info.words(field).split("|"))
        or judge(_statements(info), terms.intended_use)
    )
    if isinstance(permit, Refusal):
        return rejected(SOURCE, key, info.url, permit)
    return Candidate(
        source=SOURCE,
        source_item_id=key,
        page_url=info.descriptionurl or info.descriptionshorturl,
        image_url=info.url,
        author=info.words("Artist") or info.user,
        permit=permit,
        sha1=info.sha1,
    )


def plain(html: str) -> str:
    """The words of an HTML fragment, without tags and styles.

    >>> plain('<a href="//example.org">Ada</a> &amp; <style>b {}</style>Grace')
    'Ada & Grace'
    """
    if not html.strip():
        return ""
    words = Selector(text=html).xpath("//text()[not(parent::style or parent::script)]").getall()
    return " ".join("".join(words).split())


def _is_gone(page: Page, info: Mapping[str, object]) -> bool:
    # A file of another wiki has no page here ("missing") and is shown all the same.
    return ("missing" in page and not info) or not info.keys().isdisjoint(
        ("filemissing", "filehidden")
    )


def _naming_refusal(key: str, info: _ImageInfo) -> Refusal | None:
    if key == "unnamed":
        return Refusal(reason=Reason.NOT_AN_IMAGE, detail="The page has neither id nor title.")
    if not web_address(info.url):
        return Refusal(reason=Reason.NOT_AN_IMAGE, detail="The page names no picture file.")
    return None


def _statements(info: _ImageInfo) -> list[Statement]:
    return [
        Statement(read_from=f"extmetadata.{field}", text=info.words(field))
        for field in _LICENCE_FIELDS
    ]
