"""Licences as they occur, what each allows, and that unknown ones are never guessed."""

from itertools import product
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirrorset.licence_names import EDITIONS, EDITIONS_WITHOUT_BY, TERMS
from mirrorset.licences import CONSENT, normalise, refusal
from mirrorset.records import IntendedUse, Licence, Reason

ADDRESS = "https://creativecommons.org/licenses"

WITH_BY = ("by", "by-nc", "by-nc-sa", "by-nc-nd", "by-sa", "by-nd")
WITHOUT_BY = ("nc", "nc-sa", "nd", "nd-nc", "sa")
#: (terms, version, port) of every licence that Creative Commons wrote.
ALL = [
    (terms, version, port)
    for group, editions in ((WITH_BY, EDITIONS), (WITHOUT_BY, EDITIONS_WITHOUT_BY))
    for terms in group
    for version, ports in editions.items()
    for port in sorted(ports)
]


@pytest.mark.parametrize(
    ("text", "code", "version"),
    [
        ("CC BY-SA 4.0", "CC-BY-SA", "4.0"),
        ("cc-by-sa-3.0-de", "CC-BY-SA", "3.0"),
        ("Creative Commons BY-NC-SA 2.0 license", "CC-BY-NC-SA", "2.0"),
        ("https://creativecommons.org/licenses/by-nc-sa/2.0/", "CC-BY-NC-SA", "2.0"),
        ("http://creativecommons.org/licenses/by/3.0/deed.en", "CC-BY", "3.0"),
        ("Creative Commons Attribution-Share Alike 4.0 International", "CC-BY-SA", "4.0"),
        ("Creative Commons Attribution-NonCommercial-NoDerivs 2.0", "CC-BY-NC-ND", "2.0"),
        ("CC BY-ND 2.0", "CC-BY-ND", "2.0"),
        ("CC0", "CC0", "1.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/deed.de", "CC0", "1.0"),
        ("Public domain", "PD", ""),
        ("PD US Government", "PD", ""),
        ("https://creativecommons.org/publicdomain/mark/1.0/", "PD", ""),
        ("https://creativecommons.org/licenses/by/4.0/?ref=chooser-v1", "CC-BY", "4.0"),
        ("www.creativecommons.org/licenses/by-sa/4.0/legalcode", "CC-BY-SA", "4.0"),
        ("Licensed under the CC BY 4.0 license.", "CC-BY", "4.0"),
        ("Creative Commons Attribution-ShareAlike 4.0 (CC BY-SA 4.0)", "CC-BY-SA", "4.0"),
        (
            "This work is licensed under a Creative Commons Attribution-NonCommercial 4.0 "
            "International License. To view a copy of this license, visit "
            "http://creativecommons.org/licenses/by-nc/4.0/.",
            "CC-BY-NC",
            "4.0",
        ),
        ("CC0 1.0 Universal", "CC0", "1.0"),
        ("Creative Commons Zero, Public Domain Dedication", "CC0", "1.0"),
        ("Public Domain Mark 1.0", "PD", ""),
        ("PD-USGov-NASA", "PD", ""),
        ("PD-old-100-expired", "PD", ""),
        ("PD-self", "PD", ""),
        ("Creative Commons — Attribution 4.0 International — CC BY 4.0", "CC-BY", "4.0"),
        ("CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/)", "CC-BY", "4.0"),
        ("CC-BY-3.0-IGO", "CC-BY", "3.0"),
        ("CC SA 1.0", "CC-SA", "1.0"),
        ("Creative Commons NoDerivs-NonCommercial 1.0", "CC-NC-ND", "1.0"),
        ("Creative Commons Attribution-NoDerivs-NonCommercial 1.0", "CC-BY-NC-ND", "1.0"),
        ("http://creativecommons.org/licenses/by-nd-nc/1.0", "CC-BY-NC-ND", "1.0"),
        ("https://creativecommons.org/licenses/by/4.0/deed.zh-hans", "CC-BY", "4.0"),
        ("https://creativecommons.org/licenses/by/3.0/us/legalcode.en", "CC-BY", "3.0"),
        ("https://creativecommons.org/licenses/by/4.0/rdf", "CC-BY", "4.0"),
        ("https://creativecommons.org/licenses/by/2.0/deed?lang=de", "CC-BY", "2.0"),
        (
            "https://creativecommons.org/licenses/by-sa/4.0?ref=ccsearch&atype=rich",
            "CC-BY-SA",
            "4.0",
        ),
        ("https://creativecommons.org/licenses/by-sa/4.0/&ref=openverse", "CC-BY-SA", "4.0"),
        ("//creativecommons.org/licenses/by/3.0/", "CC-BY", "3.0"),
        ("http://creativecommons.org/licenses/publicdomain/", "PD", ""),
        ("https://creativecommons.org/publicdomain/mark/1.0/deed.fr", "PD", ""),
        ("https://www.usa.gov/copyright.shtml", "PD", ""),
        ("https://www.usa.gov/government-works", "PD", ""),
        ("No known restrictions on publication.", "NKC", ""),
        ("No known copyright", "NKC", ""),
        ("http://rightsstatements.org/vocab/NKC/1.0/", "NKC", ""),
        ("https://rightsstatements.org/page/NKC/1.0/", "NKC", ""),
    ],
)
def test_spellings_that_occur(text: str, code: str, version: str) -> None:
    licence = normalise(text)
    assert licence is not None
    assert (licence.code, licence.version) == (code, version)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "All rights reserved",
        "Copyright",
        "free to use",
        "CC",
        "CC BY",
        "GFDL",
        "by-sa",
        "not in the public domain",
        "CC BY-SA-ND 4.0",
        "CC BY-NC-NC 4.0",
        "1",
        # Creative Commons wrote no such licence.
        "CC BY 2.1",
        "CC BY 3.1",
        "CC SA 2.0",
        "CC BY 2.5 kr",
        "CC Sampling Plus 1.0",
        "https://creativecommons.org/licenses/by/4.0/de/",
        "https://creativecommons.org/licenses/sampling+/1.0/",
        "https://creativecommons.org/licenses/devnations/2.0/",
        "https://creativecommons.org/licenses/",
        "https://creativecommons.org/licenses/by/4.0/?jurisdiction=nd",
        # A title without "Creative Commons" that does not end as titles do.
        "Attribution 4.0",
        "Namensnennung 3.0",
        "by-sa 3.0 Unported",
        # Two licences, or one said twice and differently, as a Japanese legal code does.
        "CC BY-SA 4.0,3.0,2.5,2.0,1.0",
        "クリエイティブ・コモンズ — 表示-非営利-改変禁止 4.0 国際 — CC BY 4.0",
        "Attribution (by-nc) 3.0 Switzerland",
        # Statements about rights that are not these.
        "https://rightsstatements.org/vocab/InC/1.0/",
        "https://rightsstatements.org/vocab/NoC-US/1.0/",
        "No known restrictions on publication in the US. Use elsewhere may be restricted",
        "Public domain in the United States",
        "https://www.usa.gov/",
        "Consented",
        " consented",
        "consented by Ada",
        # A name or an address, and words that take it back.
        "CC BY 4.0 NC ND",
        "CC-BY 4.0-ND",
        "CC BY 4.0 ND",
        "CC BY 2.0 NoDerivs",
        "CC BY 4.0, no derivatives",
        "CC-BY-3.0-DE-nd",
        "CC BY 4.0 de",
        "Creative Commons Attribution 4.0 NonCommercial",
        "Creative Commons Attribution 4.0 International, NonCommercial use only",
        "Creative Commons Attribution-NonCommercial 4.0 (CC BY 4.0)",
        "https://creativecommons.org/licenses/by/4.0-nd",
        "https://creativecommons.org/licenses/by/4.0/deed.en nd",
        "not CC BY 4.0",
        "This is not licensed under CC BY 4.0",
        "formerly CC BY 2.0, now all rights reserved",
        "All rights reserved. Text: CC BY-SA 4.0",
        "Licensed CC BY 4.0 except portraits (all rights reserved)",
        "CC BY 4.0 (all rights reserved)",
        "https://notcreativecommons.org/licenses/by/4.0/",
        "https://creativecommons.org.example/licenses/by/4.0/",
        "https://evil.com/?x=creativecommons.org/licenses/by/4.0",
        "CC BY-\u017fa 4.0",
        "PD not proven",
        "PD - not public domain in Germany",
        "pd disputed",
        "PD-notPD",
        "PD-author|All rights reserved",
        "Creative Commons 0 rights: all rights reserved",
        "CC0-1.0 with restrictions",
        "https://creativecommons.org/publicdomain/zero/1.0/ "
        "https://creativecommons.org/licenses/by-nd/4.0/",
        "CC0 for the text, CC BY-ND 4.0 for the photographs",
    ],
)
def test_anything_else_is_unknown(text: str) -> None:
    assert normalise(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "http://creativecommons.org/licenses/by-sa/3.0/de/deed.en",
        "cc-by-sa-3.0-de",
        "CC BY-SA 3.0 DE",
        "Creative Commons Attribution-Share Alike 3.0 de",
    ],
)
def test_a_port_stays_in_the_address(text: str) -> None:
    assert normalise(text) == Licence(
        code="CC-BY-SA",
        version="3.0",
        url="https://creativecommons.org/licenses/by-sa/3.0/de/",
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        # de
        ("Namensnennung – Weitergabe unter gleichen Bedingungen 3.0 Deutschland", "by-sa/3.0/de/"),
        ("Namensnennung 2.0 US-amerikanisch (nicht portiert)", "by/2.0/"),
        ("Namensnennung-Nicht kommerziell-Share Alike 4.0 International", "by-nc-sa/4.0/"),
        ("Namensnennung – Keine Bearbeitung (by-nd) 3.0 Schweiz", "by-nd/3.0/ch/"),
        ("Creative Commons Namensnennung 4.0 International Public License", "by/4.0/"),
        # fr
        ("Paternité - Partage à l'Identique 3.0 non transposé", "by-sa/3.0/"),
        (
            "Licence publique Creative Commons Attribution - Utilisation non commerciale - "
            "Partage dans les mêmes conditions 4.0 International",
            "by-nc-sa/4.0/",
        ),
        ("Attribution - Pas d’Œuvre dérivée 4.0 International", "by-nd/4.0/"),
        ("Paternité - Pas d'Utilisation Commerciale 2.0 France", "by-nc/2.0/fr/"),
        # es
        ("Atribución/Reconocimiento-CompartirIgual 4.0 Internacional", "by-sa/4.0/"),
        ("Reconocimiento-NoComercial-SinObraDerivada 2.5 España", "by-nc-nd/2.5/es/"),
        ("Atribución-No Comercial-Licenciamiento Recíproco 3.0 Unported", "by-nc-sa/3.0/"),
        ("Creative Commons Atribución 4.0 Licencia Pública Internacional", "by/4.0/"),
        # it
        ("Attribuzione-NonCommerciale-CondividiAlloStessoModo 4.0 Internazionale", "by-nc-sa/4.0/"),
        ("Attribuzione - Non opere derivate 2.5 Italia", "by-nd/2.5/it/"),
        ("Licenza Pubblica Creative Commons Attribuzione 4.0 Internazionale", "by/4.0/"),
        # pt
        ("Atribuição - CompartilhaIgual 3.0 Não Adaptada", "by-sa/3.0/"),
        ("Atribuição-NãoComercial-SemDerivações 4.0 Internacional", "by-nc-nd/4.0/"),
        ("Atribuição-Uso não-comercial 2.5 Brasil", "by-nc/2.5/br/"),
        # nl
        ("Naamsvermelding-NietCommercieel-GelijkDelen 4.0 Internationaal", "by-nc-sa/4.0/"),
        ("Creative Commons Naamsvermelding 4.0 Internationale Publieke Licentie", "by/4.0/"),
        ("Naamsvermelding-GeenAfgeleideWerken 2.0 België", "by-nd/2.0/be/"),
        # pl
        ("Uznanie autorstwa - Na tych samych warunkach 4.0 Międzynarodowa", "by-sa/4.0/"),
        (
            "Uznanie autorstwa-Użycie niekomercyjne-Bez utworów zależnych 3.0 Polska",
            "by-nc-nd/3.0/pl/",
        ),
        # ja
        ("表示 - 継承 3.0 非移植", "by-sa/3.0/"),
        ("クリエイティブ・コモンズ 表示-非営利 4.0 国際 パブリック・ライセンス", "by-nc/4.0/"),
        ("表示 - 改変禁止 2.1 日本", "by-nd/2.1/jp/"),
        # ru
        ("С указанием авторства-С сохранением условий версии 4.0 Международная", "by-sa/4.0/"),
        (
            "Attribution-NonCommercial (Атрибуция — Некоммерческое использование) "
            "3.0 Непортированная",
            "by-nc/3.0/",
        ),
    ],
)
def test_titles_in_other_languages(text: str, path: str) -> None:
    licence = normalise(text)
    assert licence is not None
    assert licence.url == f"{ADDRESS}/{path}"


@pytest.mark.parametrize(
    "text",
    [
        "Gemeinfrei",
        "Domaine public",
        "Dominio público",
        "Pubblico Dominio",
        "Domínio Público",
        "Publiek domein",
        "Domena publiczna",
        "パブリック・ドメイン",
        "Общественное достояние",
        "Etiqueta de Dominio Público 1.0",
    ],
)
def test_the_public_domain_in_other_languages(text: str) -> None:
    licence = normalise(text)
    assert licence is not None
    assert licence.code == "PD"


@pytest.mark.parametrize(
    "text",
    [
        "\u0421\u0421 BY 4.0",  # Cyrillic С
        "CC B\u0423 4.0",  # Cyrillic У
        "CC BY \uff14.0",  # full-width 4
        "CC BY \u0664.\u0660",  # Arabic-Indic digits
        "CC BY-\u017fA 4.0",  # long s
        "CC\u200b BY 4.0",  # zero-width space
        "CC0 1\u20240",  # one dot leader
        "public d\u043emain",  # Cyrillic о
        "https://creativecommons.\u043erg/licenses/by/4.0/",
        "https://creativecommons.org\u2215licenses/by/4.0/",
    ],
)
def test_letters_that_only_look_alike_are_unknown(text: str) -> None:
    assert normalise(text) is None


def test_canonically_equal_letters_are_equal() -> None:
    assert normalise("Atribucio\u0301n 2.5 Espan\u0303a") == normalise("Atribución 2.5 España")


def test_each_licence_is_read_from_its_own_address() -> None:
    for terms, version, port in ALL:
        licence = normalise(f"{ADDRESS}/{terms}/{version}/{port}")
        assert licence is not None
        assert licence.version == version
        assert set(licence.code.split("-")) == {"CC", *terms.upper().split("-")}
        assert licence.url.endswith(f"/{version}/{port}/" if port else f"/{version}/")
        assert normalise(licence.url) == licence


@pytest.mark.parametrize("language", TERMS)
def test_each_part_of_a_title_is_told_from_every_other(language: str) -> None:
    parts = TERMS[language]
    for by, (term, names) in product(parts["by"], parts.items()):
        for name in names if term != "by" else ():
            licence = normalise(f"Creative Commons {by}-{name} 3.0")
            assert licence is not None
            assert licence.code == f"CC-BY-{term.upper()}"


@given(st.sampled_from(ALL), st.sampled_from([" ", "-", "_", " – "]), st.randoms())
def test_neither_the_order_of_terms_nor_what_joins_them_matters(
    licence: tuple[str, str, str], joint: str, random: Random
) -> None:
    terms, version, port = licence
    names = terms.split("-")
    random.shuffle(names)
    stated = joint.join(["CC", *names, version, *filter(None, [port])])
    assert normalise(stated) == normalise(f"{ADDRESS}/{terms}/{version}/{port}") is not None


@given(
    st.sampled_from(["CC BY 4.0", "CC0", "PD", "Public domain", "No known copyright"])
    | st.sampled_from([f"{ADDRESS}/by/4.0/", "https://www.flickr.com/commons/usage/", "consented"]),
    st.text(min_size=1, max_size=30).filter(lambda text: text.strip(" .").isalpha()),
)
def test_words_beside_a_licence_make_it_unknown(name: str, words: str) -> None:
    assert normalise(f"{words} {name}") is None
    assert normalise(f"{name} {words}") is None
    assert normalise(f"{name}, {words}") is None


def test_a_text_about_licences_is_unknown() -> None:
    assert normalise("CC BY 4.0 " * 100_000) is None


@given(st.text(max_size=200))
def test_no_text_raises(text: str) -> None:
    assert normalise(text) is None or isinstance(normalise(text), Licence)


@pytest.mark.parametrize(
    ("text", "use", "reason"),
    [
        ("CC BY 4.0", "commercial", None),
        ("CC BY-SA 4.0", "commercial", None),
        ("CC BY-NC 4.0", "research", None),
        ("CC BY-NC 4.0", "commercial", Reason.NON_COMMERCIAL),
        ("CC BY-ND 4.0", "research", Reason.NO_DERIVATIVES),
        ("CC BY-NC-ND 4.0", "commercial", Reason.NO_DERIVATIVES),
        ("CC0", "commercial", None),
        ("Public domain", "commercial", None),
        ("CC NC 1.0", "commercial", Reason.NON_COMMERCIAL),
        ("CC ND-NC 1.0", "research", Reason.NO_DERIVATIVES),
        ("CC SA 1.0", "commercial", None),
        ("No known copyright restrictions", "research", None),
        ("No known copyright restrictions", "commercial", Reason.LICENCE_UNKNOWN),
        ("consented", "commercial", None),
    ],
)
def test_what_each_allows(text: str, use: IntendedUse, reason: Reason | None) -> None:
    licence = normalise(text)
    assert licence is not None
    assert refusal(licence, use) == reason


def test_consent_is_read_from_its_one_word_alone() -> None:
    assert normalise("consented") == CONSENT == Licence(code="CONSENT")
