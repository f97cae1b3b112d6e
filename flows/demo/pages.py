"""The demo's web gallery as a person sees it: an index, a page for each image, a site map."""

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from zlib import crc32

from flows.demo.gallery import GalleryImage, StatedLicence

_STYLE = (
    "body{font-family:sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "figure{margin:1rem 0}img{max-width:100%;height:auto}h1{font-size:1.3rem}"
)


def page_path(image: GalleryImage) -> str:
    """/gallery/<slug>.html"""
    return f"/gallery/{Path(image.name).stem}.html"


def picture_path(image: GalleryImage) -> str:
    """/gallery/images/<name>"""
    return f"/gallery/images/{image.name}"


def index_page(images: Sequence[GalleryImage]) -> str:
    """The gallery's first page: a link to each image's page."""
    links = "\n".join(
        f'<li><a href="{escape(page_path(image))}">{escape(image.title)}</a></li>'
        for image in images
    )
    return _document("Demo gallery", "", f"<h1>Demo gallery</h1>\n<ul>\n{links}\n</ul>")


def image_page(image: GalleryImage, page: str, picture: str, base_url: str) -> str:
    """One image with its credit, at path `page`, the file at path `picture`.

    Its licence is stated as sites do it: by a rel=license link, or as JSON-LD (which of the two
    is fixed by the image's name), or not at all.
    """
    head = ""
    caption = [f"Credit: {escape(image.author)}" if image.author else "No credit given"]
    if image.licence:
        name, url = escape(image.licence.short_name), escape(image.licence.url)
        if _is_linked_data(image):
            head = _image_object(image, image.licence, base_url + page, base_url + picture)
            caption.append(f"Licence: {name}")
        else:
            caption.append(f'Licence: <a rel="license" href="{url}">{name}</a>')
    body = (
        f"<h1>{escape(image.title)}</h1>\n"
        f'<figure>\n<img src="{escape(picture)}" alt="{escape(image.title)}">\n'
        f"<figcaption>{'<br>'.join(caption)}</figcaption>\n</figure>"
    )
    return _document(f"{image.title} – Demo gallery", head, body)


def not_found_page() -> str:
    """What is shown for an address that leads nowhere."""
    return _document("Not found", "", "<h1>Not found</h1>\n<p>There is no such page here.</p>")


def sitemap(images: Sequence[GalleryImage], base_url: str) -> str:
    """A site map (sitemaps.org protocol 0.9) of the images' pages."""
    urls = "\n".join(
        f"<url><loc>{escape(base_url + page_path(image))}</loc></url>" for image in images
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{urls}\n</urlset>\n'
    )


def robots(images: Sequence[GalleryImage]) -> str:
    """Wikimedia's rules for its API, and one for each picture that refuses crawlers here."""
    refused = [f"Disallow: {picture_path(image)}" for image in images if image.opt_out == "robots"]
    wikimedia = ("User-agent: *", "Allow: /w/load.php?", "Disallow: /w/", "Disallow: /api/")
    return "\n".join([*wikimedia, *refused]) + "\n"


def _is_linked_data(image: GalleryImage) -> bool:
    return crc32(image.name.encode()) % 2 == 0


def _image_object(
    image: GalleryImage, licence: StatedLicence, page_url: str, image_url: str
) -> str:
    described = {
        "@context": "https://schema.org/",
        "@type": "ImageObject",
        "name": image.title,
        "contentUrl": image_url,
        "license": licence.url,
        "acquireLicensePage": page_url,
        "creditText": image.author,
        "creator": {"@type": "Person", "name": image.author},
    }
    # "<" must not end the script element early.
    encoded = json.dumps(described, ensure_ascii=False, indent=1).replace("<", "\\u003c")
    return f'<script type="application/ld+json">\n{encoded}\n</script>\n'


def _document(title: str, head: str, body: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{head}</head>\n<body>\n"
        '<nav><a href="/gallery/">Demo gallery</a></nav>\n'
        f"<main>\n{body}\n</main>\n</body>\n</html>\n"
    )
