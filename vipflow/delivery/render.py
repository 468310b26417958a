"""E-mail templates: found in folders, kept to a small safe language, compiled once, rendered to a subject and a text.

A template is `<name>/<language>/subject.txt` and `body.txt`; what several share stands in `_shared/<language>/`.
Resellers write their own, so the language is small: `{{ fact }}`, `{% if %}`, `{% for %}` over a list of the context,
`{% with %}`, `{% include %}`, comments and the filters named in `FILTERS`. Nothing can be called, computed or assigned,
and facts are plain JSON data. What is not on the list is refused while loading, with file and line, before it runs.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from vipflow.delivery import typography
from vipflow.errors import VipflowError, did_you_mean

FILTERS = ("day", "licences", "length", "lines", "listing", "moment", "month", "number")
LOOP_FACTS = frozenset({"first", "last", "index", "length"})
MOST_LINES = 500
"""How often a loop is taken to run when a template's size is estimated: an authorization has at most 499 lines."""
MOST_OUTPUT = 1_000_000
"""The greatest estimated size of what a template writes: a bound on loops in loops and includes of includes."""
MOST_SOURCE = 100_000

_ZONE = "zone of the reseller"  # no template can spell a name with spaces
_PARIS = ZoneInfo("Europe/Paris")


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
    """What a mail says. The subject is one line; the text ends with a line break."""

    subject: str
    text: str


class Templates:
    """The templates of one or more folders; in a later folder stands what a reseller writes instead, file by file.

    A file is read, checked and compiled when first used, then kept: a changed file counts from the next start.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(Path(folder) for folder in folders)
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
                    if _is_template(entry)
                }
            )
        )
        self._loader = jinja2.FileSystemLoader([str(folder) for folder in reversed(self.folders)])
        self._environments = {code: _Environment(code, self._loader) for code in self.languages}
        self._known: dict[tuple[str, str], frozenset[str]] = {}

    def render(self, template: str, language: str, context: Mapping[str, Any], zone: tzinfo) -> Rendered:
        """The mail that this template makes of these facts; instants are shown as the clocks of `zone` show them.

        Raises `TemplateError`, with the file and line at fault.
        """
        words = {**context, _ZONE: zone}
        subject = self._say(template, language, "subject.txt", words)
        body = self._say(template, language, "body.txt", words)
        return Rendered(typography.one_line(subject), typography.flow(body))

    def variables(self, template: str, language: str) -> frozenset[str]:
        """The names of the facts that the template asks for, in its subject, its body and whatever these include."""
        return self._facts(template, language, "subject.txt") | self._facts(template, language, "body.txt")

    def files(self, template: str, language: str) -> tuple[str, ...]:
        """Where a template's own files are, or should be."""
        return tuple(str(self._path(f"{template}/{language}/{part}")) for part in ("subject.txt", "body.txt"))

    def _path(self, name: str) -> Path:
        found = (folder / name for folder in reversed(self.folders) if (folder / name).is_file())
        return next(found, self.folders[-1] / name if self.folders else Path(name))

    def _say(self, template: str, language: str, part: str, words: Mapping[str, Any]) -> str:
        self._facts(template, language, part)
        try:
            return self._environments[language].get_template(f"{template}/{language}/{part}").render(words)
        except Exception as error:  # whatever a template's author can provoke is told as his
            raise self._told(template, language, error) from error

    def _facts(self, template: str, language: str, part: str) -> frozenset[str]:
        """Checks a file and what it includes, once; gives the facts it asks for."""
        name = f"{template}/{language}/{part}"
        known = self._known.get((language, name))
        if known is None:
            if language not in self._environments:
                raise TemplateError(
                    template, language, f"no template is written in it; there are {', '.join(self.languages)}"
                )
            if template not in self.names:
                raise TemplateError(
                    template, language, f"there is none of this name{did_you_mean(template, self.names)}"
                )
            try:
                known = _Survey(self._environments[language], self._loader).facts(name)
            except (jinja2.TemplateError, RecursionError, OSError, UnicodeError) as error:
                raise self._told(template, language, error) from error
            self._known[language, name] = known
        return known

    def _told(self, template: str, language: str, error: Exception) -> TemplateError:
        problem = str(error) or type(error).__name__
        file, line = None, None
        if isinstance(error, jinja2.TemplateSyntaxError):
            file, line, problem = error.filename, error.lineno, error.message or problem
        elif isinstance(error, jinja2.TemplateNotFound):
            file, problem = str(self._path(str(error.name))), "is missing; write this file"
        elif isinstance(error, RecursionError):
            problem = "it nests too deeply"
        else:
            frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.endswith(".txt")]
            if frames:
                file, line = frames[-1].filename, frames[-1].lineno
        return TemplateError(template, language, problem, file, line)


def check_templates(
    templates: Templates,
    expected: Mapping[str, Sequence[str]],
    samples: Mapping[str, Mapping[str, Mapping[str, Any]]],
    zone: tzinfo = _PARIS,
) -> list[str]:
    """Everything that is wrong with the templates, one sentence each; an empty list when all is well.

    `expected` names, for each template, the facts its context holds; `samples` holds contexts by template and by a name
    that says what is special about each (`without po_number`).
    """
    problems: dict[str, None] = {}  # a shared file is at fault once, not once for each of its templates
    for template, facts in expected.items():
        for language in typography.LANGUAGES:
            for problem in _problems_of(templates, template, language, facts, samples.get(template, {}), zone):
                problems.setdefault(problem)
    for template in templates.names:
        if template not in expected:
            problems.setdefault(
                f"template {template}: no workflow sends it{did_you_mean(template, expected)}; "
                "rename or remove its folder"
            )
    return list(problems)


def _problems_of(
    templates: Templates,
    template: str,
    language: str,
    facts: Sequence[str],
    samples: Mapping[str, Mapping[str, Any]],
    zone: tzinfo,
) -> Iterator[str]:
    for part, file in zip(("subject.txt", "body.txt"), templates.files(template, language), strict=True):
        if not Path(file).is_file():
            yield f"{file}: is missing; write this file"
            return
        try:
            unknown = templates._facts(template, language, part) - set(facts)
        except TemplateError as error:
            yield f"{error.where or file}: {error.problem}"
            return
        for name in sorted(unknown):
            near = did_you_mean(name, facts) or f"; there are {', '.join(sorted(facts))}"
            yield f"{file}{_line_of(file, name)}: mails of {template} know no fact {name!r}{near}"
        if unknown:
            return
    told: set[str] = set()
    for label, context in samples.items():
        try:
            rendered = templates.render(template, language, context, zone)
        except TemplateError as error:
            problem = f"{error.where or file}: {error.problem}"
            if problem not in told:
                yield f"{problem} (sample: {label})"
            told.add(problem)
        else:
            if not rendered.subject:
                file = templates.files(template, language)[0]
                yield f"{file}: the subject is empty (sample: {label}); say what the mail is about"
                return
            if not rendered.text.strip():
                file = templates.files(template, language)[1]
                yield f"{file}: the mail is empty (sample: {label}); say what happened and what to do"
                return


def _line_of(file: str, name: str) -> str:
    for count, line in enumerate(Path(file).read_text(encoding="utf-8").splitlines(), 1):
        if re.search(rf"\{{[{{%].*\b{re.escape(name)}\b", line):
            return f" line {count}"
    return ""


def _is_template(folder: Path) -> bool:
    return folder.is_dir() and not folder.name.startswith(("_", "."))


# --- the small language --------------------------------------------------------------------------------------------

_ALLOWED = {
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.Getattr, nodes.Getitem,
    nodes.If, nodes.For, nodes.With, nodes.Include, nodes.CondExpr, nodes.And, nodes.Or, nodes.Not,
    nodes.Compare, nodes.Operand, nodes.Test, nodes.Filter,
}  # fmt: skip
_INSTEAD = {
    nodes.Call: "nothing can be called; filters are written {{ due_on | day }}",
    nodes.Assign: "nothing can be assigned; {% with name = fact %} … {% endwith %} gives a fact another name",
    nodes.AssignBlock: "nothing can be assigned",
    nodes.Macro: "there are no macros; put what is shared in a file under _shared/ and include it",
    nodes.Import: "there are no macros to import; {% include %} the file",
    nodes.FromImport: "there are no macros to import; {% include %} the file",
    nodes.Scope: "this tag is not part of the templates' language",
    nodes.Extends: "templates do not extend others; {% include %} what is shared",
    nodes.Block: "templates do not extend others; {% include %} what is shared",
}


class _Environment(ImmutableSandboxedEnvironment):
    """Jinja, cut down: facts are read by key, never as attributes of Python objects, and syntax is checked first."""

    def __init__(self, language: str, loader: jinja2.BaseLoader) -> None:
        self.language = language
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            finalize=_printable,
            autoescape=False,  # text; the HTML part will have an environment of its own
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
            extensions=[_Typing],
        )
        self.globals.clear()
        self.filters = _filters(language)
        self.tests = {"none": _is_none}

    def compile(
        self, source: Any, name: str | None = None, filename: str | None = None, *args: Any, **options: Any
    ) -> Any:
        tree = self.parse(source, name, filename) if isinstance(source, str) else source
        _allow(tree, name, filename)
        return super().compile(tree, name, filename, *args, **options)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, dict):
            return (
                obj[attribute]
                if attribute in obj
                else self.undefined(f"there is no fact {attribute!r} here{did_you_mean(attribute, obj)}")
            )
        if isinstance(obj, LoopContext) and attribute in LOOP_FACTS:
            return getattr(obj, attribute)
        if isinstance(obj, Undefined):
            return obj
        return self.undefined(
            f"{attribute!r} is asked of something that holds no facts; test it with {{% if %}} where it may be absent"
        )

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, list) and isinstance(argument, int):
            return (
                obj[argument]
                if -len(obj) <= argument < len(obj)
                else self.undefined(f"the list has no entry {argument}")
            )
        return (
            obj if isinstance(obj, Undefined) else self.undefined(f"[{argument}] is asked of something that is no list")
        )


class _Typing(Extension):
    """Lets authors type as they are used to: French spacing is set, and tags leave the line around them alone.

    Jinja's `trim_blocks` and `lstrip_blocks` remove the line break after every tag and the blanks before one; wanted is
    that for lines that hold nothing but tags.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        if len(source) > MOST_SOURCE:
            raise jinja2.TemplateSyntaxError(f"has over {MOST_SOURCE} characters", 1, name, filename)
        return "\n".join(map(_keep_blanks, source.replace("\r\n", "\n").split("\n")))

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        french = getattr(self.environment, "language", "") == "fr"
        for token in stream:
            if french and token.type == "data":
                yield Token(token.lineno, token.type, typography.french(token.value))
            else:
                yield token


_TAG = re.compile(r"\{[%#].*?[%#]\}")


def _keep_blanks(line: str) -> str:
    if not _TAG.sub("", line).strip():
        return line
    line = re.sub(r"^([ \t]+\{[%#])(?![+-])", r"\1+", line)
    return re.sub(r"(?<![+-])([%#]\})$", r"+\1", line)


def _allow(tree: nodes.Template, name: str | None, filename: str | None) -> None:
    """Refuses whatever is not on the list, before the optimizer could compute any of it."""

    def refuse(node: nodes.Node, why: str) -> jinja2.TemplateSyntaxError:
        line = next((each.lineno for each in _all(node) if each.lineno), 1)  # some nodes have none of their own
        return jinja2.TemplateSyntaxError(why, line, name, filename)

    for node in _all(tree):
        kind = type(node)
        if kind not in _ALLOWED:
            raise refuse(node, _INSTEAD.get(kind, f"{kind.__name__} is not part of the templates' language"))
        if isinstance(node, nodes.Filter):
            if node.name not in FILTERS:
                raise refuse(
                    node,
                    f"there is no filter {node.name!r}{did_you_mean(node.name, FILTERS)}; "
                    f"there are {', '.join(FILTERS)}",
                )
            if node.args or node.kwargs or node.dyn_args or node.dyn_kwargs or node.node is None:
                raise refuse(node, f"the filter {node.name} takes nothing in brackets")
        elif isinstance(node, nodes.Test) and (node.name != "none" or node.args):
            raise refuse(node, f"there is no test {node.name!r}; write {{% if fact %}}, or {{% if fact is none %}}")
        elif isinstance(node, nodes.Getattr) and node.attr.startswith("_"):
            raise refuse(node, f"{node.attr!r} is no fact")
        elif isinstance(node, nodes.Getitem) and not (
            isinstance(node.arg, nodes.Const) and type(node.arg.value) is int
        ):
            raise refuse(node, "between [ ] stands a number; a fact of a fact is written {{ customer.company }}")
        elif isinstance(node, nodes.For) and (
            node.recursive or node.test or not isinstance(node.iter, nodes.Name | nodes.Getattr)
        ):
            raise refuse(node, "a loop is written {% for line in lines %}, over a list of the facts")
        elif isinstance(node, nodes.With) and not all(
            isinstance(v, nodes.Name | nodes.Getattr | nodes.Const) for v in node.values
        ):
            raise refuse(node, "{% with %} only gives a fact another name")
        elif isinstance(node, nodes.Include) and not (
            isinstance(node.template, nodes.Const) and isinstance(node.template.value, str)
        ):
            raise refuse(node, "{% include %} names its file in quotes")
        elif isinstance(node, nodes.Include) and (node.ignore_missing or not node.with_context):
            raise refuse(node, "{% include %} takes the name of a file and nothing else")
        elif isinstance(node, nodes.Const) and isinstance(node.value, float):
            raise refuse(node, "only whole numbers are used")


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _all(child)


class _Survey:
    """Reads a file and what it includes: which facts it asks for, and how much it could write."""

    def __init__(self, environment: _Environment, loader: jinja2.BaseLoader) -> None:
        self.environment = environment
        self.loader = loader
        self.trees: dict[str, nodes.Template] = {}
        self.files: dict[str, str | None] = {}
        self.sizes: dict[str, int] = {}
        self.open: list[str] = []

    def facts(self, name: str) -> frozenset[str]:
        if self._size_of_file(name) > MOST_OUTPUT:
            problem = "could write too much: loops inside loops, or too many includes"
            raise jinja2.TemplateSyntaxError(problem, 1, name, self.files[name])
        return frozenset(self._asked(self.trees[name], frozenset()))

    def _tree(self, name: str) -> nodes.Template:
        if name not in self.trees:
            source, self.files[name], _ = self.loader.get_source(self.environment, name)
            self.trees[name] = self.environment.parse(source, name, self.files[name])
            _allow(self.trees[name], name, self.files[name])
        return self.trees[name]

    def _size_of_file(self, name: str) -> int:
        if name in self.open:
            raise jinja2.TemplateSyntaxError(
                f"{' includes '.join([*self.open, name])}: without end", 1, name, self.files[name]
            )
        if name not in self.sizes:
            self.open.append(name)
            self.sizes[name] = self._size(self._tree(name))
            self.open.pop()
        return self.sizes[name]

    def _size(self, node: nodes.Node) -> int:
        if isinstance(node, nodes.TemplateData):
            return len(node.data)
        if isinstance(node, nodes.Include):
            return self._size_of_file(node.template.value)  # type: ignore[attr-defined]
        inside = 1 + sum(map(self._size, node.iter_child_nodes()))
        return inside * MOST_LINES if isinstance(node, nodes.For) else inside

    def _asked(self, node: nodes.Node, bound: frozenset[str]) -> Iterator[str]:
        if isinstance(node, nodes.Name):
            if node.ctx == "load" and node.name not in bound:
                yield node.name
        elif isinstance(node, nodes.Include):
            yield from self._asked(self._tree(node.template.value), bound)  # type: ignore[attr-defined]
        elif isinstance(node, nodes.For):
            yield from self._asked(node.iter, bound)
            inner = bound | {"loop"} | {name.name for name in node.target.find_all(nodes.Name)} | _named(node.target)
            for child in node.body:
                yield from self._asked(child, inner)
            for child in node.else_:
                yield from self._asked(child, bound)
        elif isinstance(node, nodes.With):
            for value in node.values:
                yield from self._asked(value, bound)
            inner = bound.union(*(_named(target) for target in node.targets))
            for child in node.body:
                yield from self._asked(child, inner)
        else:
            for child in node.iter_child_nodes():
                yield from self._asked(child, bound)


def _named(target: nodes.Node) -> frozenset[str]:
    return frozenset({target.name}) if isinstance(target, nodes.Name) else frozenset()


# --- what templates write ------------------------------------------------------------------------------------------


def _filters(language: str) -> dict[str, Callable[..., Any]]:
    @jinja2.pass_context
    def moment(context: Context, value: str) -> str:
        return typography.moment(language, context[_ZONE], value)

    return {
        "day": partial(typography.day, language),
        "length": len,
        "licences": partial(typography.licences, language),
        "lines": typography.lines,
        "listing": partial(typography.listing, language),
        "moment": moment,
        "month": partial(typography.month, language),
        "number": partial(typography.number, language),
    }


def _is_none(value: Any) -> bool:
    return value is None


def _printable(value: Any) -> Any:
    """Lets text and whole numbers through; what would leave a hole or a piece of Python in a mail is an error."""
    kind = type(value)
    if kind is str or kind is int or isinstance(value, Undefined):
        return value
    if value is None:
        raise ValueError("a fact is absent here; write it inside {% if fact %} … {% endif %}")
    raise ValueError(
        f"a {kind.__name__} cannot be written as it is: "
        "test a yes or no with {% if %}, go through a list with {% for %}"
    )
