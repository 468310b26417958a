"""Made-up companies and people of several countries, and the seeded chance that picks them."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

T = TypeVar("T")


class Chance:
    """Chance that comes out the same on every Python: all of it from `random()`, whose sequence is promised."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return low + int(self._random.random() * (high - low + 1))

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.number(0, len(choices) - 1)]

    def happens(self, percent: float) -> bool:
        return self._random.random() * 100 < percent

    def weighted(self, choices: dict[T, float]) -> T:
        point = self._random.random() * sum(choices.values())
        for choice, weight in choices.items():
            point -= weight
            if point < 0:
                return choice
        return next(reversed(choices))

    def shuffled(self, items: Sequence[T]) -> list[T]:
        left = list(items)
        return [left.pop(self.number(0, len(left) - 1)) for _ in range(len(left))]

    def hexadecimal(self, digits: int) -> str:
        return "".join(self.one_of("0123456789ABCDEF") for _ in range(digits))


@dataclass(frozen=True)
class Country:
    """Where people live: names, streets, cities with a postal code that exists there."""

    code: str
    language: str
    first: Sequence[str]
    last: Sequence[str]
    streets: Sequence[str]
    cities: Sequence[tuple[str, str]]
    companies: Sequence[str]
    """Patterns of names; `{}` is a word of fancy."""
    public: Sequence[str] = ()
    schools: Sequence[str] = ()
    number_first: bool = True


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_FR_FIRST = _words(
    "Camille|Léa|Hélène|François|Jérôme|Noémie|Agnès|Thaïs|Loïc|Anaïs|Benoît|Cécile|Étienne|Gaëlle|Maël|Zoé|Inès|Rémi|"
    "Sébastien|Aurélie|Béatrice|Clément|Delphine|Éloïse|Fabien|Geneviève|Hervé|Océane|Stéphane|Valérie"
)
_FR_LAST = _words(
    "Lefèvre|Dupré|Le Goff|Béranger|Chauvin|d’Estienne|Fontaine|Garnier|Hébert|Marchand|N’Diaye|Ouvrard|Perrin|"
    "Quéméneur|Rousseau|Saint-Aubin|Thévenot|Vasseur|Delacroix-Moreau|Ménard|Pétillon|Bœuf|Lemaître|Guérin|Roux"
)
_FANCY = _words(
    "Brume|Cadence|Lisière|Méridien|Ocre|Pivoine|Ricochet|Sillage|Tempo|Vermeil|Zéphyr|Bocage|Canopée|Écume|Garance|"
    "Halo|Kaolin|Lavande|Marelle|Nacre|Orée|Plume|Quartz|Ruche|Solstice|Tamaris|Ultramarine|Volute|Aster|Belvédère|"
    "Corail|Dédale|Éclat|Futaie|Gypse|Horizon|Indigo|Jade|Lagune|Mistral"
)
FANCY_EN = _words(
    "Bramble|Cobalt|Driftwood|Ember|Foxglove|Granite|Heather|Inkwell|Juniper|Kestrel|Lantern|Marlow|Northlight|Otter|"
    "Pebble|Quill|Redfern|Saltmarsh|Thistle|Umber|Vellum|Wren|Yarrow|Alder|Beacon|Cinder|Dovetail|Elm|Fathom|Gorse|"
    "Harbour|Ironbridge|Jackdaw|Kingfisher|Larch|Moorland|Nettle|Oakum|Periwinkle|Rookery"
)
FANCY = {"fr": _FANCY, "en": FANCY_EN}

COUNTRIES: dict[str, Country] = {
    "FR": Country(
        "FR",
        "fr",
        _FR_FIRST,
        _FR_LAST,
        (
            "rue de la République",
            "avenue Jean-Jaurès",
            "quai Perrache",
            "impasse des Tanneurs",
            "cours Gambetta",
            "allée des Érables",
        ),
        (
            ("Lyon", "69003"),
            ("Villeurbanne", "69100"),
            ("Grenoble", "38000"),
            ("Saint-Étienne", "42000"),
            ("Bourg-en-Bresse", "01000"),
            ("Annecy", "74000"),
            ("Paris", "75011"),
            ("Aix-en-Provence", "13100"),
            ("L’Isle-d’Abeau", "38080"),
        ),
        (
            "Atelier {}",
            "Studio {}",
            "Imprimerie {} & Fils",
            "Agence {}",
            "Éditions {}",
            "{} Architectes",
            "Maison {}",
            "{} Communication",
        ),
        ("Mairie de Saint-{}", "Communauté de communes {}", "Syndicat des eaux {}", "Office public de l’habitat {}"),
        ("Lycée {}", "École supérieure {}", "Institut {}", "Conservatoire {}"),
    ),
    "BE": Country(
        "BE",
        "fr",
        (
            "Émilie",
            "Thibault",
            "Marie-Paule",
            "Luc",
            "Anneleen",
            "Joris",
            "Wim",
            "Charlotte",
            "Aurore",
            "Gaëtan",
            "Noé",
            "Sien",
        ),
        (
            "Van den Broeck",
            "Lambrechts",
            "De Smet",
            "Dubois-Claes",
            "Peeters",
            "Wauters",
            "Henrard",
            "Lejeune",
            "D’Hondt",
            "Grégoire",
        ),
        (
            "rue du Marché aux Herbes",
            "chaussée d’Ixelles",
            "avenue Louise",
            "Meir",
            "rue Saint-Gilles",
            "place de l’Ange",
        ),
        (
            ("Bruxelles", "1000"),
            ("Ixelles", "1050"),
            ("Liège", "4000"),
            ("Namur", "5000"),
            ("Antwerpen", "2000"),
            ("Gent", "9000"),
            ("Louvain-la-Neuve", "1348"),
        ),
        ("Atelier {}", "{} Graphisme", "{} & Partners", "Studio {}", "Brasserie {}", "Imprimerie {}", "{} Concept"),
        ("Commune de {}", "CPAS de {}", "Intercommunale {}", "Régie {}"),
        ("Haute École {}", "Athénée {}", "Académie {}"),
        number_first=False,
    ),
    "CH": Country(
        "CH",
        "fr",
        ("Raphaël", "Solène", "Urs", "Chantal", "Blaise", "Martina", "Yann"),
        ("Favre", "Rochat", "Müller", "Zürcher", "Pittet", "Bürgi", "Jaquier"),
        ("rue du Rhône", "avenue de la Gare", "chemin des Vignes"),
        (("Genève", "1201"), ("Lausanne", "1003"), ("Neuchâtel", "2000")),
        ("{} Horlogerie SA", "Cabinet {}", "Studio {} Sàrl"),
        ("Canton {}, service des parcs",),
        ("Gymnase {}",),
        number_first=False,
    ),
    "LU": Country(
        "LU",
        "fr",
        ("Jean-Claude", "Nathalie", "Tom", "Martine"),
        ("Schmit", "Weber", "Thill", "Kieffer"),
        ("rue de Hollerich", "boulevard Royal"),
        (("Luxembourg", "1741"), ("Esch-sur-Alzette", "4002")),
        ("{} Finance", "Fiduciaire {}", "{} Média"),
        ("Administration {}",),
        ("Lycée {}",),
    ),
    "NL": Country(
        "NL",
        "en",
        ("Sanne", "Jeroen", "Femke", "Daan", "Maartje"),
        ("de Vries", "van Dijk", "Bakker", "ter Horst", "IJsbrands"),
        ("Keizersgracht", "Coolsingel", "Oude Delft"),
        (("Amsterdam", "1015 CJ"), ("Rotterdam", "3012 AA"), ("Delft", "2611CC")),
        ("Bureau {}", "{} Ontwerp", "{} Media BV"),
        ("Gemeente {}",),
        ("Hogeschool {}",),
        number_first=False,
    ),
    "DE": Country(
        "DE",
        "en",
        ("Jürgen", "Käthe", "Sören", "Ulrike", "Björn", "Anneliese"),
        ("Groß", "Schäfer", "Krüger", "Weiß", "Vogelsang"),
        ("Königsallee", "Lange Straße", "Am Markt"),
        (("Köln", "50667"), ("Düsseldorf", "40212"), ("Aachen", "52062")),
        ("{} Werbung GmbH", "Verlag {}", "{} Druck"),
        ("Stadtwerke {}",),
        ("Fachschule {}",),
        number_first=False,
    ),
    "GB": Country(
        "GB",
        "en",
        (
            "Imogen",
            "Alistair",
            "Priya",
            "Siobhán",
            "Rhys",
            "Zoë",
            "Callum",
            "Beatrix",
            "Kwame",
            "Harriet",
            "Dafydd",
            "Oluwaseun",
        ),
        (
            "Ashworth",
            "O’Donnell",
            "Patel",
            "Llewellyn",
            "Fitzgerald",
            "Whitby-Jones",
            "Okafor",
            "McAllister",
            "Thackeray",
            "Brontë",
        ),
        ("Clerkenwell Road", "Deansgate", "Royal Mile", "Cowley Road", "Park Street", "Dock Street"),
        (
            ("London", "EC1R 5DL"),
            ("Manchester", "M3 4LQ"),
            ("Edinburgh", "EH1 1RE"),
            ("Oxford", "OX4 1HU"),
            ("Bristol", "BS1 5PB"),
            ("Leeds", "LS10 1JF"),
            ("Cardiff", "CF10 1EP"),
            ("Croydon", "CR2 6XH"),
        ),
        (
            "{} Press",
            "{} & Daughters",
            "{} Studios",
            "{} Architects",
            "The {} Agency",
            "{} Brewing Co.",
            "{} Film and Sound",
        ),
        ("{} Borough Council", "{} Fire and Rescue", "{} Harbour Authority"),
        ("{} Academy", "{} Sixth Form College", "University of {}", "St {} School"),
    ),
    "IE": Country(
        "IE",
        "en",
        ("Aoife", "Cillian", "Niamh", "Pádraig", "Gráinne"),
        ("Ní Bhriain", "Ó Súilleabháin", "Kavanagh", "Byrne", "Mac Giolla"),
        ("Capel Street", "Patrick Street", "Shop Street"),
        (("Dublin", "D07 X2N5"), ("Cork", "T12 RX8E"), ("Galway", "H91 E2K3")),
        ("{} Design", "{} Media Ltd", "{} Distillers"),
        ("{} County Council",),
        ("{} Institute",),
    ),
    "SE": Country(
        "SE",
        "en",
        ("Åsa", "Björn", "Linnéa", "Örjan"),
        ("Sjöberg", "Lindström", "Åkesson"),
        ("Storgatan", "Kungsgatan"),
        (("Stockholm", "111 22"), ("Malmö", "211 34")),
        ("{} Reklambyrå", "{} Förlag AB"),
        ("{} kommun",),
        ("{} folkhögskola",),
        number_first=False,
    ),
    "PL": Country(
        "PL",
        "en",
        ("Łukasz", "Małgorzata", "Zbigniew", "Żaneta"),
        ("Wiśniewski", "Dąbrowska", "Szczepański"),
        ("ul. Piotrkowska", "ul. Długa"),
        (("Łódź", "90-265"), ("Gdańsk", "80-831")),
        ("Drukarnia {}", "{} Sp. z o.o."),
        ("Urząd {}",),
        ("Liceum {}",),
        number_first=False,
    ),
    "PT": Country(
        "PT",
        "en",
        ("João", "Conceição", "Inês"),
        ("Gonçalves", "Simões", "Assunção"),
        ("Rua das Flores", "Avenida da Liberdade"),
        (("Lisboa", "1250-096"), ("Porto", "4050-262")),
        ("{} Lda", "Oficina {}"),
        ("Junta de {}",),
        ("Escola {}",),
        number_first=False,
    ),
}


@dataclass
class Customer:
    """A customer as its reseller's systems know it."""

    own: str
    """The number that the reseller's own systems call it by."""
    company: str
    segment: str
    country: str
    language: str
    contact_name: str
    contact_email: str
    address: str
    city: str
    postal_code: str
    region: str | None
    owner: str
    vip_number: str
    large: bool = False
    ref: str = ""
    """What events call it by: its own number where it was invited, the VIP number where it was a member before."""
    recipients: list[dict[str, str]] = field(default_factory=list)

    @property
    def contact(self) -> dict[str, str]:
        return {"name": self.contact_name, "email": self.contact_email}


def plain(text: str) -> str:
    """Small letters and digits without accents: `Éditions Nacre & Fils` is `editions-nacre-fils`."""
    special = {"œ": "oe", "ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "’": "", "'": ""}
    spelled = "".join(special.get(letter, letter) for letter in text.lower())
    bare = (letter for letter in unicodedata.normalize("NFKD", spelled) if not unicodedata.combining(letter))
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in bare).split()
    return "-".join(words)


class Town:
    """Founds customers, no two of which are called the same."""

    def __init__(
        self, chance: Chance, countries: dict[str, float], owners: Sequence[str], prefix: str, letters: str | None
    ) -> None:
        self.chance = chance
        self.countries = countries
        self.owners = owners
        self.prefix = prefix
        self.letters = letters
        """The encoding of the reseller's export: a name that it cannot hold is not known there."""
        self.taken: set[str] = set()
        self.count = 0

    def found(self) -> Customer:
        while True:
            customer = self._attempt()
            if plain(customer.company) not in self.taken and self._writable(customer):
                self.taken.add(plain(customer.company))
                self.count += 1
                return customer

    def _writable(self, customer: Customer) -> bool:
        text = customer.company + customer.contact_name + customer.address + customer.city
        return self.letters is None or text.encode(self.letters, "replace").decode(self.letters) == text

    def _attempt(self) -> Customer:
        chance = self.chance
        country = COUNTRIES[chance.weighted(self.countries)]
        segment = chance.weighted({"commercial": 74, "education": 14, "government": 12})
        patterns = {"commercial": country.companies, "government": country.public, "education": country.schools}[
            segment
        ]
        company = chance.one_of(patterns).format(
            chance.one_of(FANCY["fr" if country.code in ("FR", "BE", "CH", "LU") else "en"])
        )
        first, last = chance.one_of(country.first), chance.one_of(country.last)
        city, code = chance.one_of(country.cities)
        street, number = chance.one_of(country.streets), chance.number(1, 180)
        domain = f"{plain(company)}.example"
        return Customer(
            own=f"{self.prefix}{1001 + self.count * 7}",
            company=company,
            segment=segment,
            country=country.code,
            language=country.language,
            contact_name=f"{first} {last}"[:35],
            contact_email=f"{plain(first)}.{plain(last)}@{domain}",
            address=f"{number} {street}" if country.number_first else f"{street} {number}",
            city=city,
            postal_code=code,
            region="Scotland" if city == "Edinburgh" else None,
            owner=chance.one_of(self.owners),
            vip_number=chance.hexadecimal(20),
            large=chance.happens(12),
        )
