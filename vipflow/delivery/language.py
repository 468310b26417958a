"""The small language of e-mail templates: Jinja cut down to what a mail needs, for text and for HTML.

`{{ fact }}`, `{% if %}`, `{% for %}` over a list of the context, `{% with %}`, `{% include %}`, comments and the
filters named in `FILTERS`. Nothing can be called, computed or assigned, nothing marked safe, and facts are plain JSON
data. What is not on the list is refused while loading, with file and line, before it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream
from jinja2.runtime import Context, LoopContext, StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from vipflow.delivery import typography
from vipflow.delivery.markup import Markings, MarkupProblem
from vipflow.delivery.shapes import set_apart
from vipflow.errors import did_you_mean

FILTERS = ("day", "licences", "length", "lines", "listing", "moment", "month", "number")
LOOP_FACTS = frozenset({"first", "last", "index", "length"})
MOST_LINES = 500
"""How often a loop is taken to run when a template's size is estimated: an authorization has at most 499 lines."""
MOST_OUTPUT = 1_000_000
"""The greatest estimated size of what a template writes: a bound on loops in loops and includes of includes."""
MOST_SOURCE = 100_000

LAYOUT = "layout.html"
"""What every HTML mail stands in; the one file that holds a style sheet."""
ZONE = "zone of the reseller"  # no template can spell a name with spaces
APART = "facts set apart"
"""A list, where what is rendered is a page of marks (see `shapes`); and the filter that sets a fact apart."""
LISTED = "a list and nothing else"
"""The filter that a loop's list goes through: a text is no list of its letters."""


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


class Language(ImmutableSandboxedEnvironment):
    """Jinja, cut down: facts are read by key, never as attributes of Python objects, and syntax is checked first.

    With `html` every fact is escaped; the language has no word that says otherwise.
    """

    def __init__(self, language: str, loader: jinja2.BaseLoader, *, html: bool = False) -> None:
        self.language = language
        self.html = html
        self.reads = loader
        super().__init__(
            loader=loader,
            undefined=StrictUndefined,
            finalize=_printable_in_html if html else _printable,
            autoescape=html,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
            cache_size=-1,
            extensions=[_Typing],
        )
        self.globals.clear()
        self.filters = _html_filters(language) if html else _filters(language)
        self.filters[LISTED] = _listed
        self.tests = {"none": _is_none}

    def compile(
        self, source: Any, name: str | None = None, filename: str | None = None, *args: Any, **options: Any
    ) -> Any:
        tree = self.parse(source, name, filename) if isinstance(source, str) else source
        _allow(tree, name, filename, html=self.html)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, LISTED, [], [], None, None, lineno=loop.lineno)
        tree.set_environment(self)
        return super().compile(tree, name, filename, *args, **options)

    def asks_what_is_in(self, name: str, facts: Set[str]) -> bool:
        """Whether a file, or what it includes, does more with one of these facts than to write it as it is."""
        return not facts.isdisjoint(Survey(self).asked_but_not_written(name))

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        tree = super()._parse(source, name, filename)
        if self.html:
            for output in tree.find_all(nodes.Output):
                output.nodes = list(_with_facts_apart(output.nodes))
            tree.set_environment(self)
        return tree

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

    In HTML what stands between tags is set, and only that; facts stand where escaping holds them. Jinja's
    `trim_blocks` and `lstrip_blocks` remove the line break after every tag and the blanks before one; wanted is that
    for lines that hold nothing but tags.
    """

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        if len(source) > MOST_SOURCE:
            raise jinja2.TemplateSyntaxError(
                f"has over {MOST_SOURCE:,} characters; a mail is shorter", 1, name, filename
            )
        return "\n".join(map(_keep_blanks, source.replace("\r\n", "\n").split("\n")))

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        setting = typography.french if getattr(self.environment, "language", "") == "fr" else _as_typed
        if not self.environment.autoescape:
            for token in stream:
                data = token.type == "data"
                yield Token(token.lineno, token.type, setting(token.value)) if data else token
            return
        markings = Markings(layout=stream.name == LAYOUT)
        line = 1
        try:
            for token in stream:
                line = token.lineno
                if token.type == "variable_begin":
                    markings.fact()
                    if markings.may_stand_apart:
                        yield Token(line, "data", _APART_HERE)
                data = token.type == "data"
                yield Token(line, token.type, markings.feed(token.value, setting)) if data else token
                line += token.value.count("\n") if data else 0
            markings.end()
        except MarkupProblem as problem:
            line += problem.line
            raise jinja2.TemplateSyntaxError(str(problem), line, stream.name, stream.filename) from problem


def _as_typed(text: str) -> str:
    return text


class _ApartHere(str):
    """Stands before a fact that may stand apart, from the lexer to the parser."""


_APART_HERE = _ApartHere(" ")


def _with_facts_apart(children: list[nodes.Expr]) -> Iterator[nodes.Expr]:
    apart = False
    for child in children:
        if isinstance(child, nodes.TemplateData) and isinstance(child.data, _ApartHere):
            apart = True
        elif apart:
            yield nodes.Filter(child, APART, [], [], None, None, lineno=child.lineno)
            apart = False
        else:
            yield child


_TAG = re.compile(r"\{[%#].*?[%#]\}")


def _keep_blanks(line: str) -> str:
    if not _TAG.sub("", line).strip():
        return line
    line = re.sub(r"^([ \t]+\{[%#])(?![+-])", r"\1+", line)
    return re.sub(r"(?<![+-])([%#]\})$", r"+\1", line)


def _allow(tree: nodes.Template, name: str | None, filename: str | None, *, html: bool = False) -> None:
    """Refuses whatever is not on the list, before the optimizer could compute any of it."""

    def refuse(node: nodes.Node, why: str) -> jinja2.TemplateSyntaxError:
        line = next((each.lineno for each in _all(node) if each.lineno), 1)  # some nodes have none of their own
        return jinja2.TemplateSyntaxError(why, line, name, filename)

    for node in _all(tree):
        kind = type(node)
        if kind not in _ALLOWED:
            raise refuse(node, _instead(node))
        if isinstance(node, nodes.Filter) and node.name != APART:
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
        elif isinstance(node, nodes.Include) and html and not node.template.value.endswith(".html"):  # type: ignore[attr-defined]  # why: a constant, as asked before
            raise refuse(node, "an HTML file includes HTML files: _shared/<language>/<name>.html")
        elif isinstance(node, nodes.Const) and isinstance(node.value, float):
            raise refuse(node, "only whole numbers are used")


def _instead(node: nodes.Node) -> str:
    said = _INSTEAD.get(type(node))
    if said is not None:
        return said
    if isinstance(node, nodes.Concat):
        return "texts are not joined with ~; write facts side by side: {{ reader }} {{ title }}"
    if isinstance(node, (nodes.BinExpr, nodes.UnaryExpr)):
        return "nothing can be computed; let the workflow's vocabulary give the fact"
    if isinstance(node, (nodes.List, nodes.Tuple, nodes.Dict)):
        return "lists and tables cannot be written; they come from the facts"
    return f"{type(node).__name__} is not part of the templates' language"


def _all(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in node.iter_child_nodes():
        yield from _all(child)


class Survey:
    """Reads a file and what it includes: which facts it asks for, and how much it could write."""

    def __init__(self, environment: Language) -> None:
        self.environment = environment
        self.trees: dict[str, nodes.Template] = {}
        self.files: dict[str, str | None] = {}
        self.sizes: dict[str, int] = {}
        self.open: list[str] = []

    def facts(self, name: str) -> frozenset[str]:
        if self._size_of_file(name) > MOST_OUTPUT:
            problem = "could write too much: loops inside loops, or too many includes"
            raise jinja2.TemplateSyntaxError(problem, 1, name, self.files[name])
        return frozenset(self._asked(self.trees[name], frozenset()))

    def asked_but_not_written(self, name: str) -> frozenset[str]:
        """The facts that a file asks for otherwise than to write them as they are."""
        return frozenset(self._looked_at(self._tree(name)))

    def _looked_at(self, node: nodes.Node) -> Iterator[str]:
        if isinstance(node, nodes.Name):
            yield node.name
        elif isinstance(node, nodes.Include):
            yield from self._looked_at(self._tree(node.template.value))  # type: ignore[attr-defined]  # why: a constant, as asked before
        elif not (isinstance(node, nodes.Filter) and node.name == APART and isinstance(node.node, nodes.Name)):
            for child in node.iter_child_nodes():
                yield from self._looked_at(child)

    def _tree(self, name: str) -> nodes.Template:
        if name not in self.trees:
            source, self.files[name], _ = self.environment.reads.get_source(self.environment, name)
            self.trees[name] = self.environment.parse(source, name, self.files[name])
            _allow(self.trees[name], name, self.files[name], html=self.environment.html)
        return self.trees[name]

    def _size_of_file(self, name: str) -> int:
        if name in self.open:
            raise jinja2.TemplateSyntaxError(
                f"{' includes '.join([*self.open, name])}, without end; take one {{% include %}} out",
                1,
                name,
                self.files[name],
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
            return self._size_of_file(node.template.value)  # type: ignore[attr-defined]  # why: a constant, as asked before
        if isinstance(node, nodes.Filter) and node.name == APART and node.node is not None:
            return self._size(node.node)
        inside = 1 + sum(map(self._size, node.iter_child_nodes()))
        return inside * MOST_LINES if isinstance(node, nodes.For) else inside

    def _asked(self, node: nodes.Node, bound: frozenset[str]) -> Iterator[str]:
        if isinstance(node, nodes.Name):
            if node.ctx == "load" and node.name not in bound:
                yield node.name
        elif isinstance(node, nodes.Include):
            yield from self._asked(self._tree(node.template.value), bound)  # type: ignore[attr-defined]  # why: a constant, as asked before
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
        return typography.moment(language, context[ZONE], value)

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


def _html_filters(language: str) -> dict[str, Callable[..., Any]]:
    """The same filters; a date or a count stays in one piece, and lines are broken as HTML breaks them."""
    filters = _filters(language)
    moment = filters["moment"]

    @jinja2.pass_context
    def glued_moment(context: Context, value: str) -> str:
        return typography.glued(moment(context, value))

    def lines(value: str) -> Markup:
        return Markup("<br>").join(value.splitlines())

    def glued(say: Callable[..., str]) -> Callable[..., str]:
        return lambda value: typography.glued(say(value))

    names = ("day", "licences", "listing", "month")
    said = {name: glued(filters[name]) for name in names}
    return {**filters, **said, "moment": glued_moment, "lines": lines, APART: _apart}


@jinja2.pass_context
def _apart(context: Context, value: Any) -> Any:
    """A fact, or the mark that stands for it."""
    value = _printable_in_html(value)
    apart = context.get(APART)
    if apart is None or type(value) is Markup or isinstance(value, Undefined):
        return value
    return set_apart(str(value), apart)


def _listed(value: Any) -> Any:
    if isinstance(value, (list, tuple, Undefined)):
        return value
    raise ValueError(f"a loop goes over a list, and this fact is {_called(value)}; write it as it is: {{{{ … }}}}")


def _called(value: Any) -> str:
    """What a fact is, for an author."""
    kinds = {str: "a text", int: "a number", bool: "a yes or no", dict: "several facts under one name"}
    return "absent here" if value is None else kinds.get(type(value), f"a {type(value).__name__}")


def _is_none(value: Any) -> bool:
    return value is None


def _printable_in_html(value: Any) -> Any:
    """`Markup` comes from the filter `lines` and from our own code: facts are plain data, and are escaped."""
    return value if type(value) is Markup else _printable(value)


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
