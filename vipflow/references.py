"""References people can say on the phone: `C-7K3F-9QTD`, made from what caused the case, so that a repeat makes the
same.
"""

from __future__ import annotations

import hashlib
import re

# Crockford's alphabet: no I, L, O, U, nothing that is read as something else.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in ALPHABET for b in ALPHABET]
PATTERN = re.compile(r"^[A-Z]{1,3}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$")


def reference(prefix: str, tenant: str, cause: str, salt: int = 0) -> str:
    """The reference of the case that `cause` opens: 40 bits of a hash. After a collision, again with the next `salt`.

    >>> reference("C", "north", "event:shop/1") == reference("C", "north", "event:shop/1")
    True
    """
    digest = hashlib.blake2b(f"{tenant}\0{cause}\0{salt}".encode(), digest_size=5).digest()
    number = int.from_bytes(digest, "big")
    first, second, third, fourth = number >> 30, number >> 20 & 1023, number >> 10 & 1023, number & 1023
    return f"{prefix}-{_PAIRS[first]}{_PAIRS[second]}-{_PAIRS[third]}{_PAIRS[fourth]}"


def as_typed(text: str) -> str:
    """A reference as somebody typed it: capitals, and the letters that Crockford reads as digits put right.

    >>> as_typed("c-7k3f-9qtd"), as_typed("pa-o1il-0000")
    ('C-7K3F-9QTD', 'PA-0111-0000')
    """
    if "-" not in text:
        return text.strip()
    prefix, dash, rest = text.strip().upper().partition("-")
    mended = prefix + dash + rest.replace("O", "0").replace("I", "1").replace("L", "1")
    return mended if PATTERN.match(mended) else text.strip()
