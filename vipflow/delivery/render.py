"""E-mail templates: found in folders, compiled once, rendered to a subject, a text and HTML.

A template is `<name>/<language>/subject.txt`, `body.txt` and perhaps `body.html`; what several share stands in
`_shared/<language>/`, and `layout.html` holds what every HTML mail stands in. What may be written in them is said in
`language.py`. Without a `body.html` the HTML is made from the text.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.loaders import split_template_path

from vipflow.config import shipped
from vipflow.delivery import html, shapes, typography
from vipflow.delivery.html import Brand
from vipflow.delivery.language import APART, LAYOUT, ZONE, Language, Survey
from vipflow.delivery.plainly import plainly
from vipflow.delivery.shapes import KEPT, Shape
from vipflow.errors import VipflowError, did_you_mean

IN_DIGEST = "in_digest"
"""A fact of every mail: whether it is an item of a digest, which greets and closes once for all."""
LAYOUT_FACTS = ("brand", "content", "language", "preheader", "subject")
PLAIN = Brand()
PARTS = ("subject.txt", "body.txt", "body.html")
_KEY = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")


class TemplateError(VipflowError):
    """Raised when a template is missing, written in words outside its small language, or cannot say a fact it is given.

    >>> print(TemplateError("payment_reminder", "fr", "body.txt line 3: there is no fact 'due'"))
    template payment_reminder (fr): body.txt line 3: there is no fact 'due'
    """

    exit_code = 2

    def __init__(
        self, template: str, language: str, problem: str, file: str | None = None, line: int | None = None
    ) -> None:
        self.where = ": ".join(part for part in (f"{file} line {line}" if file and line else file or "",) if part)
        super().__init__(f"template {template} ({language}): {self.where + ': ' if self.where else ''}{problem}")
        self.template = template
        self.language = language
        self.problem = problem
        self.file = file
        self.line = line


@dataclass(frozen=True)
class Rendered:
    """What a mail says. The subject is one line; text and HTML end with a line break.

    A mail without HTML (None) is one of text alone.
    """

    subject: str
    text: str
    html: str | None = None


class Templates:
    """The templates of one or more folders; in a later folder stands what is written instead, file by file.

    Text and HTML of a body come as a pair: the last folder that has either has both. `resellers` is the folder in which
    each reseller may have a folder of its own, named by its key. A file is read, checked and compiled when first used,
    then kept: a changed file counts from the next start.
    """

    def __init__(self, folders: Sequence[Path], resellers: Path | None = None) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
        self.resellers = resellers
        self.languages = tuple(
            code
            for code in typography.LANGUAGES
            if any(True for folder in self.folders for _ in folder.glob(f"*/{code}"))
        )
        self.names = tuple(
            sorted(
                {
                    entry.name
                    for folder in self.folders
                    if folder.is_dir()
                    for entry in folder.iterdir()
                    if is_template(entry)
                }
            )
        )
        loader = _Loader(self._path)
        self._languages = {
            (code, ending): Language(code, loader, html=ending == "html")
            for code in self.languages
            for ending in ("txt", "html")
        }
        self._known: dict[tuple[str, str], frozenset[str]] = {}
        self._bodies: dict[tuple[str, str], bool] = {}
        self._of: dict[str, Templates] = {}
        self._shapes = lru_cache(maxsize=KEPT)(self._shape_of)

    def of(self, tenant_key: str) -> Templates:
        """The templates as this reseller has them: its own folder over the others, where it has one."""
        if self.resellers is None or not is_key(tenant_key):
            return self
        known = self._of.get(tenant_key)
        if known is None:
            own = self.resellers / tenant_key
            known = Templates([*self.folders, own]) if own.is_dir() else self
            self._of[tenant_key] = known
        return known

    def render(
        self, template: str, language: str, context: Mapping[str, Any], zone: tzinfo, brand: Brand = PLAIN
    ) -> Rendered:
        """The mail that this template makes of these facts; instants are shown as the clocks of `zone` show them.

        Raises `TemplateError`, with the file and line at fault.
        """
        apart: list[str] = []
        said = self._said(template, language, {**context, APART: apart}, zone, in_digest=False)
        preheader = html.preheader(said.text)
        page = None
        if shapes.may_stand_apart(said.subject) and shapes.may_stand_apart(preheader):
            shape = self._shapes(language, said.html or "", len(apart), zone, brand)
            page = shape.filled([*apart, said.subject, preheader]) if shape is not None else None
        if page is None:  # once more, with every fact in its place
            said = self._said(template, language, context, zone, in_digest=False)
            page = html.inlined(self._in_layout(language, said.html or "", said.subject, preheader, zone, brand))
        return Rendered(said.subject, said.text, page + "\n")

    def render_item(self, template: str, language: str, context: Mapping[str, Any], zone: tzinfo) -> Rendered:
        """The same mail as an item of a digest: without greeting and closing, its HTML a fragment without a layout."""
        return self._said(template, language, context, zone, in_digest=True)

    def variables(self, template: str, language: str) -> frozenset[str]:
        """The names of the facts that the template asks for, in its subject, its body and whatever these include."""
        parts = [self.facts(template, language, Path(file).name) for file in self.files(template, language)]
        return frozenset().union(*parts)

    def files(self, template: str, language: str) -> tuple[str, ...]:
        """Where a template's own files are, or should be: its subject, its text, and its HTML where it has one."""
        parts = PARTS if self._has_html(template, language) else PARTS[:2]
        return tuple(str(self._path(f"{template}/{language}/{part}")) for part in parts)

    @property
    def layout(self) -> Path:
        """The layout: of the last folder that has one, else ours."""
        return self._path(LAYOUT)

    def facts(self, template: str, language: str, part: str) -> frozenset[str]:
        """Checks a file of a template (or the layout) and what it includes, once; gives the facts it asks for."""
        name = part if part == LAYOUT else f"{template}/{language}/{part}"
        known = self._known.get((language, name))
        if known is None:
            speaks = self._languages.get((language, part.rpartition(".")[2]))
            if speaks is None:
                raise TemplateError(
                    template, language, f"no template is written in it; there are {', '.join(self.languages)}"
                )
            if template not in self.names and part != LAYOUT:
                raise TemplateError(
                    template, language, f"there is none of this name{did_you_mean(template, self.names)}"
                )
            try:
                known = Survey(speaks).facts(name)
            except (jinja2.TemplateError, RecursionError, OSError, UnicodeError) as error:
                raise self._told(template, language, error) from error
            self._known[language, name] = known
        return known

    def _said(
        self, template: str, language: str, context: Mapping[str, Any], zone: tzinfo, *, in_digest: bool
    ) -> Rendered:
        words = {**context, IN_DIGEST: in_digest, ZONE: zone}
        subject = typography.one_line(self._say(template, language, "subject.txt", words))
        body = self._say(template, language, "body.txt", words)
        if self._has_html(template, language):
            fragment = self._say(template, language, "body.html", words)
        else:
            fragment = html.from_text(body)
        return Rendered(subject, typography.flow(body), fragment)

    def _shape_of(self, language: str, fragment: str, count: int, zone: tzinfo, brand: Brand) -> Shape | None:
        """The shape of a whole mail of this fragment, in which `count` facts stand apart; subject and preheader are two
        more. None where the layout does more with these than to write them.
        """
        page = self._in_layout(language, fragment, shapes.mark(count), shapes.mark(count + 1), zone, brand)
        if self._languages[language, "html"].asks_what_is_in(LAYOUT, {"content", "subject", "preheader"}):
            return None
        written = self.facts(LAYOUT, language, LAYOUT)
        more = [count + place for place, name in enumerate(("subject", "preheader")) if name in written]
        return shapes.shape_of(page, [*range(count), *more])

    def _in_layout(self, language: str, fragment: str, subject: str, preheader: str, zone: tzinfo, brand: Brand) -> str:
        words = {
            "content": html.safe(fragment),
            "subject": subject,
            "preheader": preheader,
            "language": language,
            "brand": brand.words,
            ZONE: zone,
        }
        return self._say(LAYOUT, language, LAYOUT, words)

    def _say(self, template: str, language: str, part: str, words: Mapping[str, Any]) -> str:
        self.facts(template, language, part)
        name = part if part == LAYOUT else f"{template}/{language}/{part}"
        try:
            return self._languages[language, part.rpartition(".")[2]].get_template(name).render(words)
        except MemoryError:
            raise
        except Exception as error:  # whatever a template's author can provoke is told as his
            raise self._told(template, language, error) from error

    def _has_html(self, template: str, language: str) -> bool:
        known = self._bodies.get((template, language))
        if known is None:
            known = self._path(f"{template}/{language}/body.html").is_file()
            self._bodies[template, language] = known
        return known

    def _path(self, name: str) -> Path:
        """Where a file of that name is, or should be."""
        folder, _, file = name.rpartition("/")
        wanted = ("body.txt", "body.html") if file in ("body.txt", "body.html") else (file,)
        for each in reversed(self.folders):
            if any((each / folder / one).is_file() for one in wanted):
                return each / name
        if name == LAYOUT:
            return shipped("email_templates") / LAYOUT
        return self.folders[-1] / name if self.folders else Path(name)

    def _told(self, template: str, language: str, error: Exception) -> TemplateError:
        problem = str(error) or type(error).__name__
        file, line = None, None
        if isinstance(error, jinja2.TemplateSyntaxError):
            file, line, problem = error.filename, error.lineno, plainly(error.message or problem)
        elif isinstance(error, jinja2.TemplateNotFound):
            file, problem = str(self._path(str(error.name))), "is missing; write this file"
        elif isinstance(error, UnicodeDecodeError):
            problem = plainly(problem)
        elif isinstance(error, RecursionError):
            problem = "it nests too deeply; write fewer tags or brackets inside one another"
        else:
            frames = [
                frame
                for frame in traceback.extract_tb(error.__traceback__)
                if frame.filename.endswith((".txt", ".html"))
            ]
            problem = plainly(problem) if "isoformat" in problem else problem
            if frames:
                file, line = frames[-1].filename, frames[-1].lineno
        return TemplateError(template, language, problem, file, line)


class _Loader(jinja2.BaseLoader):
    """Reads the files that `path` finds for their names."""

    def __init__(self, path: Callable[[str], Path]) -> None:
        self._path = path

    def get_source(self, environment: jinja2.Environment, template: str) -> tuple[str, str, None]:
        path = self._path("/".join(split_template_path(template)))  # which refuses names that lead out of the folders
        if not path.is_file():
            raise jinja2.TemplateNotFound(template)
        try:
            return path.read_text(encoding="utf-8"), str(path), None
        except UnicodeDecodeError as wrong:
            raise UnicodeError(f"it is not UTF-8 (byte {wrong.start}); save it in UTF-8") from wrong


def is_key(name: str) -> bool:
    """Whether a reseller may have this key: what stands in the name of its folder."""
    return _KEY.fullmatch(name) is not None


def is_template(folder: Path) -> bool:
    """Whether a folder of a folder of templates is one."""
    return folder.is_dir() and not folder.name.startswith(("_", "."))
