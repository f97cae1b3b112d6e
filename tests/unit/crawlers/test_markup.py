import json

import pytest

from crawlers.markup import ShownImage, read_html

BY = "https://creativecommons.org/licenses/by/4.0/"
BY_ND = "https://creativecommons.org/licenses/by-nd/4.0/"


def shown(html: str) -> list[ShownImage]:
    return list(read_html(html.encode(), "http://h.org/p/1.html", 200).images)


def only(html: str) -> ShownImage:
    (image,) = shown(html)
    return image


def stated(html: str) -> list[tuple[str, str]]:
    return [(statement.read_from, statement.text) for statement in only(html).statements]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ('<img src="s.jpg" srcset="m.jpg 800w, l.jpg 1600w">', "l.jpg"),
        ('<img src="s.jpg" srcset="l.jpg 3x, m.jpg 1.5x">', "l.jpg"),
        ('<img srcset="l.jpg">', "l.jpg"),
        ('<img srcset="w_300,c_fit/s.jpg 300w,\n w_900,c_fit/l.jpg 900w">', "w_900,c_fit/l.jpg"),
        ('<img srcset="s.jpg 1x,l.jpg 2x">', "l.jpg"),
        ('<img srcset="l.jpg, s.jpg 1x">', "l.jpg"),
        ('<img srcset="s.jpg wide, l.jpg 2x, m.jpg -1w">', "l.jpg"),
        ('<img src="data:image/gif;base64,R0" data-src="l.jpg">', "l.jpg"),
        ('<img src="spacer.gif" data-srcset="s.jpg 1x, l.jpg 2x">', "l.jpg"),
        ('<picture><source srcset="l.jpg 900w"><img src="s.jpg"></picture>', "l.jpg"),
        (
            '<picture><source type="image/avif" srcset="x 900w"><source type="image/webp"'
            ' srcset="l.webp 800w"><img src="s.jpg"></picture>',
            "l.webp",
        ),
        ('<a href="o.jpg"><img src="s.jpg" srcset="m.jpg 2x"></a>', "o.jpg"),
    ],
)
def test_the_largest_picture_that_is_offered_is_taken(html: str, expected: str) -> None:
    assert only(html).url == f"http://h.org/p/{expected}"


@pytest.mark.parametrize("html", ["<img>", '<img srcset=" , ,">', '<img srcset="a.svg 9w">'])
def test_an_element_that_offers_nothing_is_no_picture(html: str) -> None:
    assert shown(html) == []


@pytest.mark.parametrize(
    "licence",
    [
        f'<a itemprop="license" href="{BY}">CC</a>',
        f'<link itemprop="url license" href="{BY}">',
        f'<meta itemprop="license" content="{BY}">',
    ],
)
def test_microdata_speak_for_their_picture(licence: str) -> None:
    html = (
        '<div itemscope itemtype="https://schema.org/ImageObject"><img src="/a.jpg">'
        f'{licence}<span itemprop="creator">Ada</span></div><a rel="license" href="{BY_ND}">'
    )
    ((read_from, text),) = stated(html)
    assert read_from.endswith(" itemprop=license")
    assert text == BY
    assert only(html).author == "Ada"


def test_microdata_of_something_else_say_nothing_of_a_picture() -> None:
    html = f'<div itemscope><img src="/a.jpg"><a itemprop="license" href="{BY}"></a></div>'
    assert stated(html) == []


@pytest.mark.parametrize("rel", ["License", "nofollow\nlicense", "LICENSE noopener"])
def test_rel_is_read_in_any_case(rel: str) -> None:
    assert stated(f'<img src="/a.jpg"><a rel="{rel}" href="{BY}">') == [("a rel=license", BY)]


def test_other_words_of_rel_are_no_licence() -> None:
    assert stated(f'<img src="/a.jpg"><a rel="license-list" href="{BY}">') == []


@pytest.mark.parametrize("kind", ["ImageObject", "https://schema.org/ImageObject", ["Photograph"]])
def test_a_type_may_be_written_as_an_address(kind: object) -> None:
    node = {"@type": kind, "contentUrl": "/a.jpg", "license": BY}
    html = f'<script type="application/ld+json">[[{{"x": [{json.dumps(node)}]}}]]</script>'
    assert stated(html) == [("json-ld ImageObject.license", BY)]


@pytest.mark.timeout(30)  # minutes, where the frame is read for each of them
def test_a_frame_of_many_pictures_is_read_once() -> None:
    pictures = "".join(f'<img src="/{n}.jpg">' for n in range(4000))
    images = shown(f'<figure>{pictures}<a rel="license" href="{BY}"></a></figure>')
    assert len(images) == 4000
    assert all(image.statements for image in images)
