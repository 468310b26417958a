"""In which encoding a text file is, recognised by its bytes: UTF-8, UTF-16 and UTF-32 by their marks, Windows-1252."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from vipflow.errors import BadInput

_MARKS: Final = (  # the longer first: UTF-32 begins like UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SAID: Final = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with a mark",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
    "cp1252": "Windows-1252",
}
"""What people call them."""

_PIECE: Final = 1024 * 1024
_SPREADSHEETS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_OF_SEVERAL_BYTES = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")


class Sighted(NamedTuple):
    """An encoding as Python names it, and a digest of all bytes."""

    encoding: str
    digest: str


def encoding_of(file: Path, given: str | None, largest: int) -> Sighted:
    """The encoding of a file: its mark's, else the one `given`, else UTF-8 where it is, else Windows-1252.

    Raises BadInput for a file that cannot be read, is larger than `largest` bytes, is a spreadsheet, or is in none of
    these; what is UTF-8 but for single bytes is told as broken, with the line.
    """
    try:
        if not file.is_file():
            raise BadInput(str(file), _why_no_file(file), "name a CSV file")
        size = file.stat().st_size
        if size > largest:
            raise BadInput(str(file), f"it is larger than {largest // 1024 // 1024} MiB", "split it")
        with file.open("rb") as stream:
            start = stream.read(256)
        if start.startswith(_SPREADSHEETS):
            raise BadInput(str(file), "it is a spreadsheet", "save it as CSV")
        marked = next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)
        if marked is None and given is None and b"\0" in start:
            problem = "it holds NUL: no text, or UTF-16 without the mark that says so"
            raise BadInput(str(file), problem, "save it as CSV in UTF-8, or say its encoding in a profile")
        return _tried(file, marked or given)
    except OSError as wrong:
        problem = f"it cannot be read: {os.strerror(wrong.errno or 0)}"
        raise BadInput(str(file), problem, "name a CSV file that you may read") from wrong


def _why_no_file(file: Path) -> str:
    return "it cannot be read: it is a folder" if file.is_dir() else "it cannot be read: there is no such file"


def _tried(file: Path, encoding: str | None) -> Sighted:
    wanted = encoding or "utf-8"
    digest = hashlib.sha256()
    tried = {each: codecs.getincrementaldecoder(each)() for each in dict.fromkeys((wanted, "cp1252"))}
    failed: dict[str, int] = {}
    lines = characters = strays = 0
    for piece, last in _pieces(file):
        digest.update(piece)
        for each, decoder in tried.items():
            if each not in failed:
                try:
                    decoder.decode(piece, final=last)
                except UnicodeError as wrong:
                    failed[each] = lines + piece.count(b"\n", 0, getattr(wrong, "start", 0)) + 1
        if encoding is None and not piece.isascii():
            several = [len(found) for found in _OF_SEVERAL_BYTES.findall(piece)]
            characters += len(several)
            strays += len(_HIGH.findall(piece)) - sum(several)
        lines += piece.count(b"\n")
    if wanted not in failed:
        return Sighted(wanted, digest.hexdigest())
    if encoding is not None:
        problem = f"line {failed[wanted]} is not in {SAID.get(encoding, encoding)}"
        raise BadInput(str(file), problem, "save it again as CSV in UTF-8")
    if characters > strays:
        raise BadInput(str(file), f"line {failed[wanted]} is broken UTF-8", "export it again, or mend that line")
    if "cp1252" in failed:
        problem = "its encoding is neither UTF-8 nor Windows-1252"
        raise BadInput(str(file), problem, "save it as CSV in UTF-8, or say which it is in a profile")
    return Sighted("cp1252", digest.hexdigest())


def _pieces(file: Path) -> Iterator[tuple[bytes, bool]]:
    with file.open("rb") as stream:
        piece = stream.read(_PIECE)
        while True:
            following = stream.read(_PIECE)
            yield piece, not following
            if not following:
                return
            piece = following
