"""The demo's files as Wikimedia Commons serves them: pages, addresses and the MediaWiki API.

Answers have the shape of recorded ones (formatversion 1 and 2); what the API leaves out for real,
such as LicenseUrl of a public-domain file, is left out here.
"""

import hashlib
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from PIL import Image

from flows.demo.gallery import PUBLIC_DOMAIN, GalleryImage

CATEGORY = "Category:Mirrorset demo gallery"

_FILE_NAMESPACE = "6"
_MAX_LIMIT = 500
_UPLOADER = "Mirrorset demo"


class ApiError(Exception):
    """What MediaWiki answers to a wrong query: a code for programs, a sentence for people."""

    def __init__(self, code: str, info: str) -> None:
        super().__init__(info)
        self.code = code
        self.info = info


@dataclass(frozen=True)
class FilePage:
    """A file page: facts of the file that the API tells. sha1 is in hexadecimal."""

    image: GalleryImage
    page_id: int
    title: str
    path: str
    size_bytes: int
    width_px: int
    height_px: int
    sha1: str


def file_page(image: GalleryImage) -> FilePage:
    """The page of an image; title, id and path depend on its name alone."""
    content = image.path.read_bytes()
    with Image.open(image.path) as opened:
        width_px, height_px = opened.size
    return FilePage(
        image=image,
        page_id=int(hashlib.sha256(image.name.encode()).hexdigest()[:7], 16),
        title=f"File:{_canonical(image.name).replace('_', ' ')}",
        path=file_path(image),
        size_bytes=len(content),
        width_px=width_px,
        height_px=height_px,
        sha1=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
    )


def file_path(image: GalleryImage) -> str:
    """Where the file lies: /commons/<a>/<ab>/<name>, by the MD5 of its name as MediaWiki does."""
    name = _canonical(image.name)
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"/commons/{digest[0]}/{digest[:2]}/{name}"


def description_path(image: GalleryImage) -> str:
    """Where the file is described: /wiki/File:<name>."""
    return f"/wiki/File:{_canonical(image.name)}"


def answer(pages: Sequence[FilePage], query: Mapping[str, str], base_url: str) -> dict[str, Any]:
    """The API's answer to `query` as JSON values; an error is an answer too, with key "error"."""
    is_version_2 = query.get("formatversion") in {"2", "latest"}
    try:
        return _query(pages, query, base_url, is_version_2)
    except ApiError as error:
        usage = f"See {base_url}/w/api.php for API usage."
        told = {"code": error.code, "info": error.info, "docref" if is_version_2 else "*": usage}
        return {"error": told, "servedby": "demo"}


def _query(
    pages: Sequence[FilePage], query: Mapping[str, str], base_url: str, is_version_2: bool
) -> dict[str, Any]:
    if query.get("format") != "json":
        raise ApiError("badvalue", "The demo answers in format=json only.")
    if query.get("action") != "query":
        raise _unrecognized("action", query)
    generator = query.get("generator", "")
    if generator == "search":
        ranks, continuation = _searched(pages, query)
    elif generator == "categorymembers":
        ranks, continuation = _category_members(pages, query)
    else:
        raise _unrecognized("generator", query)

    found: dict[str, Any] = {"batchcomplete": True if is_version_2 else ""}
    if continuation:
        found["continue"] = continuation
    # MediaWiki lists a batch by page id, whatever the order it was found in.
    by_id = sorted(ranks, key=lambda page: page.page_id)
    shown = [_page(page, query, base_url) for page in by_id]
    if generator == "search":
        shown = [one | {"index": ranks[page]} for one, page in zip(shown, by_id, strict=True)]
    if shown:
        listed = shown if is_version_2 else {str(page["pageid"]): page for page in shown}
        found["query"] = {"pages": listed}
    return found


Ranks = dict[FilePage, int]


def _searched(
    pages: Sequence[FilePage], query: Mapping[str, str]
) -> tuple[Ranks, dict[str, int | str]]:
    """Files whose title, description and categories hold every word searched for."""
    words = _required(query, "gsrsearch").lower().split()
    wanted = [word for word in words if not word.startswith("filetype:")]
    # The default namespace of a search is the articles': no file is found there.
    found = [
        page
        for page in pages
        if _has_files(query.get("gsrnamespace", "0"))
        and all(word in _searchable_text(page) for word in wanted)
    ]
    offset = _integer(query, "gsroffset", 0)
    end = offset + _limit(query, "gsrlimit")
    ranks = {page: rank for rank, page in enumerate(found[offset:end], start=offset + 1)}
    return ranks, {"gsroffset": end, "continue": "gsroffset||"} if end < len(found) else {}


def _category_members(
    pages: Sequence[FilePage], query: Mapping[str, str]
) -> tuple[Ranks, dict[str, int | str]]:
    title = _required(query, "gcmtitle").replace("_", " ")
    has_files = "file" in query.get("gcmtype", "page|subcat|file").split("|")
    in_namespace = _has_files(query.get("gcmnamespace", "*"))
    members = [page for page in pages if title == CATEGORY and has_files and in_namespace]
    start = 0
    if token := query.get("gcmcontinue"):
        tokens = [_member_token(page) for page in members]
        if token not in tokens:
            raise ApiError("badcontinue", "Invalid continue param.")
        start = tokens.index(token)
    end = start + _limit(query, "gcmlimit")
    ranks = {page: rank for rank, page in enumerate(members[start:end], start=start + 1)}
    if end >= len(members):
        return ranks, {}
    return ranks, {"gcmcontinue": _member_token(members[end]), "continue": "gcmcontinue||"}


def _member_token(page: FilePage) -> str:
    return f"file|{page.title.upper().encode().hex()}|{page.page_id}"


def _page(page: FilePage, query: Mapping[str, str], base_url: str) -> dict[str, Any]:
    shown: dict[str, Any] = {"pageid": page.page_id, "ns": 6, "title": page.title}
    if "imageinfo" in query.get("prop", "").split("|"):
        told = set(query.get("iiprop", "timestamp|user").split("|"))
        shown["imagerepository"] = "local"
        shown["imageinfo"] = [_image_info(page, told, base_url)]
    return shown


def _image_info(page: FilePage, told: set[str], base_url: str) -> dict[str, Any]:
    info: dict[str, Any] = {}
    if "user" in told:
        info["user"] = _UPLOADER
    if "size" in told:
        info |= {"size": page.size_bytes, "width": page.width_px, "height": page.height_px}
    if "url" in told:
        info["url"] = base_url + quote(page.path)
        info["descriptionurl"] = base_url + quote(description_path(page.image), safe="/:")
        info["descriptionshorturl"] = f"{base_url}/w/index.php?curid={page.page_id}"
    if "sha1" in told:
        info["sha1"] = page.sha1
    if "mime" in told:
        info["mime"] = page.image.media_type
    if "mediatype" in told:
        info["mediatype"] = "BITMAP"
    if "extmetadata" in told:
        info["extmetadata"] = _extmetadata(page)
    return info


def _extmetadata(page: FilePage) -> dict[str, Any]:
    image, licence = page.image, page.image.licence
    name = page.title.removeprefix("File:").rpartition(".")[0]
    described = html.escape(image.title)
    metadata: dict[str, Any] = {
        "ObjectName": _hidden(name, "mediawiki-metadata"),
        "CommonsMetadataExtension": _hidden(1.2, "extension"),
        "Categories": _hidden(CATEGORY.removeprefix("Category:"), "commons-categories"),
        "Assessments": _hidden("", "commons-categories"),
        "ImageDescription": {"value": described, "source": "commons-desc-page"},
        "Restrictions": _hidden("", "commons-desc-page"),
    }
    if image.author:
        author = f'<span lang="en">{html.escape(image.author)}</span>'
        metadata["Artist"] = {"value": author, "source": "commons-desc-page"}
    if licence:
        is_owned = licence != PUBLIC_DOMAIN
        metadata |= {
            "License": _hidden(licence.template, "commons-templates"),
            "LicenseShortName": _hidden(licence.short_name, "commons-desc-page"),
            "UsageTerms": _hidden(licence.terms, "commons-desc-page"),
            "AttributionRequired": _hidden(str(is_owned).lower(), "commons-desc-page"),
            "Copyrighted": _hidden(str(is_owned), "commons-desc-page"),
        }
        if is_owned:
            metadata["LicenseUrl"] = _hidden(licence.url, "commons-desc-page")
    return metadata


def _hidden(value: str | float, source: str) -> dict[str, str | float]:
    return {"value": value, "source": source, "hidden": ""}


def _searchable_text(page: FilePage) -> str:
    return f"{page.title} {page.image.title} {CATEGORY}".lower()


def _has_files(namespaces: str) -> bool:
    return namespaces == "*" or _FILE_NAMESPACE in namespaces.split("|")


def _unrecognized(name: str, query: Mapping[str, str]) -> ApiError:
    stated = query.get(name, "")
    return ApiError("badvalue", f'Unrecognized value for parameter "{name}": {stated}.')


def _required(query: Mapping[str, str], name: str) -> str:
    if not query.get(name):
        raise ApiError("missingparam", f'The "{name}" parameter must be set.')
    return query[name]


def _limit(query: Mapping[str, str], name: str) -> int:
    if query.get(name) == "max":
        return _MAX_LIMIT
    return min(max(_integer(query, name, 10), 1), _MAX_LIMIT)


def _integer(query: Mapping[str, str], name: str, default: int) -> int:
    stated = query.get(name, str(default))
    if not stated.isdecimal():
        raise ApiError("badinteger", f'Invalid value "{stated}" for integer parameter "{name}".')
    return int(stated)


def _canonical(name: str) -> str:
    """A file name as MediaWiki writes it in addresses: capital first, underscores for spaces."""
    return (name[0].upper() + name[1:]).replace("-", "_")
