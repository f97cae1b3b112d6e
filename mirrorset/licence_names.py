"""The words of Creative Commons' licences: their parts in ten languages, their editions, places.

Source: the titles in Creative Commons' own RDF (cc.licenserdf 0.2.29) and at the head of its legal
codes (github.com/creativecommons/creativecommons.org, docroot/legalcode). Case, spaces, hyphens,
dashes and apostrophes do not matter.
"""

#: What a part of a title says, by language and term; translations of other years beside each other.
TERMS: dict[str, dict[str, tuple[str, ...]]] = {
    "en": {
        "by": ("Attribution",),
        "nc": ("NonCommercial",),
        "sa": ("ShareAlike",),
        "nd": ("NoDerivs", "NoDerivatives", "No Derivative Works"),
    },
    "de": {
        "by": ("Namensnennung",),
        "nc": ("Nicht kommerziell", "Keine kommerzielle Nutzung"),
        "sa": ("Weitergabe unter gleichen Bedingungen",),
        "nd": ("Keine Bearbeitung", "Keine Bearbeitungen"),
    },
    "fr": {
        "by": ("Attribution", "Paternité"),
        "nc": ("Pas d'Utilisation Commerciale", "Utilisation non commerciale"),
        "sa": (
            "Partage dans les Mêmes Conditions",
            "Partage à l'Identique",
            "Partage des Conditions Initiales à l'Identique",
        ),
        "nd": ("Pas de Modification", "Pas de travaux dérivés", "Pas d'Œuvre dérivée"),
    },
    "es": {
        "by": ("Atribución", "Reconocimiento", "Atribución/Reconocimiento"),
        "nc": ("NoComercial",),
        "sa": (
            "CompartirIgual",
            "CompartirDerivadasIgual",
            "LicenciarIgual",
            "Licenciamiento Recíproco",
        ),
        "nd": (
            "SinDerivadas",
            "SinDerivados",
            "No Derivadas",
            "SinObraDerivada",
            "SinObrasDerivadas",
        ),
    },
    "it": {
        "by": ("Attribuzione",),
        "nc": ("Non commerciale",),
        "sa": ("Condividi allo stesso modo", "StessaLicenza"),
        "nd": ("Non opere derivate", "NoOpereDerivate"),
    },
    "pt": {
        "by": ("Atribuição",),
        "nc": ("NãoComercial", "Uso Não-Comercial"),
        "sa": (
            "CompartilhaIgual",
            "Compartilhamento pela mesma licença",
            "Partilha nos termos da mesma licença",
        ),
        "nd": (
            "SemDerivados",
            "SemDerivações",
            "Vedada a criação de obras derivadas",
            "Vedada a criação de obras derivativas",
            "Proibição de realização de Obras Derivadas",
        ),
    },
    "nl": {
        "by": ("Naamsvermelding",),
        "nc": ("NietCommercieel",),
        "sa": ("GelijkDelen",),
        "nd": ("GeenAfgeleideWerken",),
    },
    "pl": {
        "by": ("Uznanie autorstwa",),
        "nc": ("Użycie niekomercyjne",),
        "sa": ("Na tych samych warunkach",),
        "nd": ("Bez utworów zależnych",),
    },
    "ja": {
        "by": ("表示",),
        "nc": ("非営利",),
        "sa": ("継承",),
        "nd": ("改変禁止",),
    },
    "ru": {
        "by": ("Атрибуция", "С указанием авторства"),
        "nc": ("Некоммерческое использование", "Некоммерческая"),
        "sa": ("С сохранением условий",),
        "nd": ("Без производных произведений", "Без производных"),
    },
}

_PORTS = {
    "1.0": ",fi,il,nl",
    "2.0": ",at,au,be,br,ca,cl,de,es,fr,hr,it,jp,kr,nl,pl,tw,uk,za",
    "2.1": "au,ca,es,jp",
    "2.5": ",ar,au,bg,br,ca,ch,cn,co,dk,es,hr,hu,il,in,it,mk,mt,mx,my,nl,pe,pl,pt,scotland,se,si"
    ",tw,za",
    "3.0": ",am,at,au,az,br,ca,ch,cl,cn,cr,cz,de,ec,ee,eg,es,fr,ge,gr,gt,hk,hr,ie,igo,it,lu,nl,no"
    ",nz,ph,pl,pr,pt,ro,rs,sg,th,tw,ug,us,ve,vn,za",
    "4.0": "",
}
#: The jurisdictions that each version was written for; "" is the edition for all of them.
EDITIONS = {version: frozenset(ports.split(",")) for version, ports in _PORTS.items()}

#: Licences that do not ask for attribution were retired early.
EDITIONS_WITHOUT_BY = {"1.0": frozenset({"", "fi", "nl"}), "2.0": frozenset({"jp"})}

#: Names of the jurisdictions, in English and in those of the ten languages that are spoken there.
PLACES: dict[str, tuple[str, ...]] = {
    "am": ("Armenia",),
    "ar": ("Argentina",),
    "at": ("Austria", "Österreich"),
    "au": ("Australia",),
    "az": ("Azerbaijan",),
    "be": ("Belgium", "Belgique", "België"),
    "bg": ("Bulgaria",),
    "br": ("Brazil", "Brasil"),
    "ca": ("Canada",),
    "ch": ("Switzerland", "Schweiz", "Suisse"),
    "cl": ("Chile",),
    "cn": ("China", "China Mainland"),
    "co": ("Colombia",),
    "cr": ("Costa Rica",),
    "cz": ("Czech Republic",),
    "de": ("Germany", "Deutschland"),
    "dk": ("Denmark",),
    "ec": ("Ecuador",),
    "ee": ("Estonia",),
    "eg": ("Egypt",),
    "es": ("Spain", "España"),
    "fi": ("Finland",),
    "fr": ("France",),
    "ge": ("Georgia",),
    "gr": ("Greece",),
    "gt": ("Guatemala",),
    "hk": ("Hong Kong",),
    "hr": ("Croatia",),
    "hu": ("Hungary",),
    "ie": ("Ireland",),
    "igo": ("OIG",),
    "il": ("Israel",),
    "in": ("India",),
    "it": ("Italy", "Italia"),
    "jp": ("Japan", "日本"),
    "kr": ("South Korea",),
    "lu": ("Luxembourg",),
    "mk": ("Macedonia",),
    "mt": ("Malta",),
    "mx": ("Mexico", "México"),
    "my": ("Malaysia",),
    "nl": ("Netherlands", "Nederland"),
    "no": ("Norway",),
    "nz": ("New Zealand",),
    "pe": ("Peru", "Perú"),
    "ph": ("Philippines",),
    "pl": ("Poland", "Polska"),
    "pr": ("Puerto Rico",),
    "pt": ("Portugal",),
    "ro": ("Romania",),
    "rs": ("Serbia",),
    "scotland": ("UK: Scotland",),
    "se": ("Sweden",),
    "sg": ("Singapore",),
    "si": ("Slovenia",),
    "th": ("Thailand",),
    "tw": ("Taiwan",),
    "ug": ("Uganda",),
    "uk": ("UK: England & Wales",),
    "us": ("United States",),
    "ve": ("Venezuela",),
    "vn": ("Vietnam",),
    "za": ("South Africa",),
}

#: What stands in a place's stead where the licence is for all jurisdictions.
UNPORTED: tuple[str, ...] = (
    *("Generic", "Unported", "International"),
    "US-amerikanisch (nicht portiert)",
    *("Générique", "non transposé"),
    *("Genérica", "Internacional", "Licencia Pública Internacional"),
    *("Generico", "Internazionale"),
    "Não Adaptada",
    *("Internationaal", "Internationale"),
    *("Ogólny", "Międzynarodowa"),
    *("一般", "非移植", "国際"),
    *("Непортированная", "Международная"),
)

#: The public domain, in the same languages: where a work is, or the mark that says so.
PUBLIC_DOMAIN: tuple[str, ...] = (
    *("Public domain", "Public Domain Mark", "Public Domain Mark 1.0"),
    "Gemeinfrei",
    "Domaine public",
    *("Dominio público", "Etiqueta de Dominio Público 1.0"),
    *("Pubblico dominio", "Dominio pubblico"),
    *("Domínio público", "Marcação de Domínio Público 1.0"),
    "Publiek domein",
    *("Domena publiczna", "Oznaczenie domeny publicznej 1.0"),
    *("パブリックドメイン", "パブリック・ドメイン"),
    "Общественное достояние",
)

#: The ends of CC0's name, "CC0 1.0 Universal".
UNIVERSAL: tuple[str, ...] = (
    *("Universal", "Universell", "Universel", "Universale", "Universeel", "uniwersalna"),
    *("全世界", "Универсальная"),
)

#: "Licence" and "public licence", before the name and after it.
BEFORE: tuple[str, ...] = (
    *("Licence", "License", "Licence publique"),
    *("Licencia", "Licencia Pública"),
    *("Licenza", "Licenza Pubblica"),
    *("Licença", "Licença Pública"),
    *("Лицензия", "Публичная лицензия"),
)
AFTER: tuple[str, ...] = (
    *("License", "Licence", "Public License", "Public Licence"),
    "Lizenz",
    *("Licentie", "Publieke Licentie"),
    *("Licencja", "Licencja Publiczna"),
    "パブリック・ライセンス",
)
