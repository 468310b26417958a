"""Cells of CSV files that no spreadsheet takes for formulas; and such cells as they were before.

A cell that begins with = + - @, a tab or a line end is computed when a spreadsheet opens it. So is what follows a
separator or a quote inside a cell, where the file is opened with other separators than it was written with. Before each
of these an apostrophe is put, which spreadsheets show as text; reading takes it away again. (OWASP, "CSV Injection".)
"""

from __future__ import annotations

import re

_DANGEROUS = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_BEGINS = '(?:^|[;,|\t\r\n"])[ \u00a0]*'
_OPEN = re.compile(f"({_BEGINS})('*)(?={_DANGEROUS})")
_GUARDED = re.compile(f"({_BEGINS})'('*)(?={_DANGEROUS})")


def guarded(text: str) -> str:
    """A text that stays text in every spreadsheet.

    >>> guarded("=1+1"), guarded("Dupont; @home"), guarded("Élan-Vert")
    ("'=1+1", "Dupont; '@home", 'Élan-Vert')
    """
    return _OPEN.sub(r"\1'\2", text)


def unguarded(text: str) -> str:
    """What `guarded` was given; a text without guards as it is.

    >>> unguarded("'=1+1"), unguarded("'Amis' = nous"), unguarded(guarded("'-1"))
    ('=1+1', "'Amis' = nous", "'-1")
    """
    return _GUARDED.sub(r"\1\2", text)
