"""Pages as tests read them: their fenced blocks, and what runs the commands in them."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"

PAGES = sorted(
    [
        README,
        ROOT / "CHANGELOG.md",
        ROOT / "CONTRIBUTING.md",
        *DOCS.rglob("*.md"),
        *(ROOT / "examples").rglob("*.md"),
        *(ROOT / "benchmarks").glob("*.md"),
    ]
)
"""Every page of ours."""

_FENCE = re.compile(
    r"^```(?P<kind>[a-z]*)\n(?P<text>.*?)^```$|^<!-- given\n(?P<given>.*?)^-->$", re.DOTALL | re.MULTILINE
)
_HEADING = re.compile(r"^#{1,3} (.*)$", re.MULTILINE)
_NOT_RUN = re.compile(r"<!-- not run: .+ -->\s*\Z")
_FOLLOWS = re.compile(r"<<'(?P<end>\w+)'")
_EXPECTED = re.compile(r"#.*\bexit (?P<code>[1-6])\b")


@dataclass(frozen=True)
class Block:
    """A fenced block, or what a page takes as given: commands in a comment, which run and are not shown (kind "given").
    `not_run`: the page says why nobody runs it.
    """

    kind: str
    text: str
    heading: str
    not_run: bool


def blocks(page: Path, *kinds: str) -> list[Block]:
    """The page's blocks of these kinds, or of all, in their order."""
    return [block for block in _blocks(page.read_text(encoding="utf-8")) if not kinds or block.kind in kinds]


def _blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        headings = _HEADING.findall(re.sub(_FENCE, "", before))
        kind, inside = ("given", found["given"]) if found["given"] else (found["kind"], found["text"])
        yield Block(kind, inside, headings[-1] if headings else "", bool(_NOT_RUN.search(before)))


def commands(found: Sequence[Block]) -> list[str]:
    """The commands of these blocks, each whole: with the lines that a backslash, an open quotation mark or a text that
    follows (`<<'END'`) join to it.
    """
    made: list[str] = []
    begun = ""
    for line in "".join(block.text for block in found if not block.not_run).splitlines():
        if not begun and (not line.strip() or line.lstrip().startswith("#")):
            continue
        begun = f"{begun}\n{line}" if begun else line
        if _is_whole(begun):
            made.append(begun.replace("\\\n", " "))
            begun = ""
    assert not begun, f"a command without an end: {begun}"
    return made


def _is_whole(command: str) -> bool:
    first, _, rest = command.partition("\n")
    follows = _FOLLOWS.search(first)
    if follows is not None:
        return rest.endswith(f"\n{follows['end']}")
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return not command.endswith("\\")


def expected_code(line: str) -> int:
    """0, or what the line's comment says: `# exit 3: refused`."""
    found = _EXPECTED.search(line)
    return int(found["code"]) if found else 0


def run(lines: Sequence[str], folder: Path, **more: str) -> list[tuple[str, int, str]]:
    """Runs the lines in one shell that stands in `folder`; each line with its exit code and what it said.

    The shell stops at the first line that ends otherwise than its comment says.
    """
    marker = "=== ended with"
    script = []
    for line in lines:
        script.append(f"{line}\ncode=$?; echo '{marker}' $code; [ $code = {expected_code(line)} ] || exit 99")
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=folder,
        env=environment(more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    parts = re.split(rf"^{marker} (\d+)\n", done.stdout, flags=re.MULTILINE)
    return [(line, int(code), said) for line, said, code in zip(lines, parts[::2], parts[1::2], strict=False)]


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """As on a fresh machine: no variable of ours, and `vipflow` is the one under test."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("VIPFLOW_")}
    return {**plain, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{plain['PATH']}", "COLUMNS": "100", **more}


def told(results: Sequence[tuple[str, int, str]], lines: Sequence[str]) -> str:
    """What went wrong, for a failing test: the last line that ran, and what it said."""
    if not results:
        return "nothing ran"
    line, code, said = results[-1]
    ended = f"{shlex.quote(line)} ended with {code}, not {expected_code(line)}"
    return f"{ended} ({len(results)} of {len(lines)} ran):\n{said}"
