"""What may be typed into a field: lengths, characters, addresses, postal codes. [adobe]

The types carry what a JSON schema can say; `problems_of_…` says the rest, every problem of a record at once.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta

Language: TypeAlias = Literal["fr", "en"]
CompanyName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=80)]
PersonName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=35)]
EmailAddress: TypeAlias = Annotated[str, Meta(min_length=3, max_length=240)]
AddressLine: TypeAlias = Annotated[str, Meta(min_length=1, max_length=60)]
City: TypeAlias = Annotated[str, Meta(min_length=1, max_length=40)]
Region: TypeAlias = Annotated[str, Meta(min_length=1, max_length=40)]
PostalCode: TypeAlias = Annotated[str, Meta(min_length=1, max_length=12)]
Country: TypeAlias = Annotated[
    str, Meta(pattern=r"^[A-Z]{2}$(?!\n)", description="two capital letters", examples=["FR"])
]
PoNumber: TypeAlias = Annotated[str, Meta(min_length=1, max_length=35)]
ExternalNumber: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""A number of Adobe's, opaque to us. The length is ours."""
Remark: TypeAlias = Annotated[str, Meta(min_length=1, max_length=2000)]
"""Free text of several lines. The length is ours."""

FORBIDDEN: Final = '<>["'
TURNING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Invisible, and what follows reads backwards: `exe.fdp` for `pdf.exe`. Marks that only join letters are none."""

# Where the form is published; elsewhere any code of letters, digits, spaces and hyphens passes, or none.
_POSTAL_CODES: Final[dict[str, str]] = {
    **dict.fromkeys(
        ("FR", "DE", "IT", "ES", "FI", "EE", "HR", "LT", "TR", "UA", "MC", "RE", "GP", "MQ", "GF", "YT", "MA", "MX"),
        r"\d{5}",
    ),
    **dict.fromkeys(
        ("BE", "CH", "AT", "DK", "NO", "HU", "LU", "BG", "SI", "CY", "AU", "NZ", "LI", "TN", "ZA"), r"\d{4}"
    ),
    **dict.fromkeys(("SE", "CZ", "SK", "GR"), r"\d{3} ?\d{2}"),
    **dict.fromkeys(("RO", "SG", "IN", "CN"), r"\d{6}"),
    "NL": r"\d{4} ?[A-Z]{2}",
    "PL": r"\d{2}-\d{3}",
    "PT": r"\d{4}-\d{3}",
    "LV": r"(LV-)?\d{4}",
    "MT": r"[A-Z]{3} ?\d{2,4}",
    "IE": r"[A-Z]\d[\dW] ?[A-Z\d]{4}",
    "GB": r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}",
    "US": r"\d{5}(-\d{4})?",
    "CA": r"[A-Z]\d[A-Z] ?\d[A-Z]\d",
    "JP": r"\d{3}-?\d{4}",
    "BR": r"\d{5}-?\d{3}",
}
_SUCH: Final = {
    r"\d{5}": "75011",
    r"\d{4}": "1000",
    r"\d{3} ?\d{2}": "111 29",
    r"\d{6}": "010011",
    r"\d{4} ?[A-Z]{2}": "1012 AB",
    r"\d{2}-\d{3}": "00-950",
    r"\d{4}-\d{3}": "1000-205",
    r"(LV-)?\d{4}": "LV-1010",
    r"[A-Z]{3} ?\d{2,4}": "VLT 1117",
    r"[A-Z]\d[\dW] ?[A-Z\d]{4}": "D02 AF30",
    r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}": "SW1A 1AA",
    r"\d{5}(-\d{4})?": "10001",
    r"[A-Z]\d[A-Z] ?\d[A-Z]\d": "K1A 0B1",
    r"\d{3}-?\d{4}": "100-0001",
    r"\d{5}-?\d{3}": "01001-000",
}
"""A code of each form, for who typed another."""
_SOME_CODE: Final = r"[A-Za-z0-9][A-Za-z0-9 \-]*"

_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
    BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK
    FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR
    IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK
    ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM
    PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF
    TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
COUNTRIES: Final = frozenset(_CODES.split())
"""ISO 3166-1 alpha-2."""


def problems_of_text(field: str, text: str | None) -> Iterator[str]:
    """What is wrong with a text of one line: characters that Adobe refuses, control characters, nothing but spaces."""
    if text is None:
        return
    found = [character for character in FORBIDDEN if character in text]
    if found:
        yield f"{field}: {' '.join(found)} cannot be used here"
    if not text.isprintable() and any(unicodedata.category(each) in ("Cc", "Cs", "Zl", "Zp") for each in text):
        yield f"{field}: control characters and line breaks cannot be used here"
    elif any(character in TURNING for character in text):
        yield f"{field}: characters that turn the direction of writing cannot be used here"
    elif not text.strip():
        yield f"{field}: is empty"


def problems_of_remark(field: str, text: str | None) -> Iterator[str]:
    """What is wrong with a text of several lines: only NUL and its like."""
    if text is None or text.isprintable():
        return
    if any(unicodedata.category(each) in ("Cc", "Cs") and each not in "\n\r\t" for each in text):
        yield f"{field}: control characters cannot be used here"


def problems_of_email(field: str, address: str) -> Iterator[str]:
    """What is wrong with an e-mail address: it must be exactly one, to which every mail server delivers.

    >>> list(problems_of_email("email", "anna@north.example"))
    []
    >>> list(problems_of_email("email", "anna@north.example, bob@north.example"))
    ["email: 'anna@north.example, bob@north.example' is not exactly one address, such as anna@example.com"]
    """
    yield from problems_of_text(field, address)
    local, _, domain = address.rpartition("@")
    given = repr(address if len(address) <= 80 else address[:80] + "…")
    if not local or "@" in local or re.search(r"[\s,;:<>()\[\]\\\"]", address):
        yield f"{field}: {given} is not exactly one address, such as anna@example.com"
    elif not _LOCAL.fullmatch(local) or len(local) > 64:
        yield (
            f"{field}: {given} cannot be delivered everywhere: before the @ write at most 64 letters without accents, "
            "digits and . _ - +"
        )
    elif not _is_domain(domain):
        yield f"{field}: {given} has no domain name after the @, such as example.com"


def _is_domain(domain: str) -> bool:
    try:
        plain = domain if domain.isascii() else domain.encode("idna").decode("ascii")
    except UnicodeError:
        return False
    return len(plain) <= 253 and "." in plain and all(map(_LABEL.fullmatch, plain.split(".")))


_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def problems_of_place(country: str, postal_code: str | None) -> Iterator[str]:
    """What is wrong with a country and its postal code.

    >>> list(problems_of_place("FR", "75011")), list(problems_of_place("FR", "7501"))
    ([], ["postal_code: '7501' is none of FR, such as 75011"])
    """
    if country not in COUNTRIES:
        yield f"country: {country!r} is no country of ISO 3166 (two capital letters)"
        return
    form = _POSTAL_CODES.get(country)
    if postal_code is None:
        if form is not None:
            yield f"postal_code: is missing; {country} has them, such as {_SUCH[form]}"
    elif not re.fullmatch(form or _SOME_CODE, postal_code):
        yield f"postal_code: {postal_code!r} is none of {country}, such as {_SUCH.get(form or '', 'AB-1234')}"


def refuse(problems: Iterable[str]) -> None:
    """Raises ValueError with all problems at once: what a struct's `__post_init__` calls."""
    found = list(problems)
    if found:
        raise ValueError("; ".join(found))
