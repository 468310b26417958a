"""Templates as their authors look at them: which there are, who sends them, what they make of sample facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from vipflow.delivery import samples
from vipflow.delivery.checking import check_templates
from vipflow.delivery.digest import DIGEST, render_digest
from vipflow.delivery.digest import FACTS as DIGEST_FACTS
from vipflow.errors import NotFound, did_you_mean
from vipflow.machine import Workflows
from vipflow.operations.installation import Files
from vipflow.operations.made_up import contexts_made_up

COMMON_WORDS = ("person", "reseller", "manager", "customer", "contact", "reference")
"""What every mail is told, whatever it is about (`VipTrade.common_words`, and the reference of its case)."""


class TemplateEntry(msgspec.Struct, frozen=True):
    """A template: who gets its mails, and which workflow sends them ("none" where no workflow does)."""

    name: str
    to: str
    workflow: str
    languages: Sequence[str]


class Preview(msgspec.Struct, frozen=True):
    """A template filled with a sample. `html` is the whole HTML part, in the sample reseller's brand."""

    template: str
    language: str
    sample: str
    subject_line: str
    text: str
    html: str | None


def templates_known(files: Files) -> list[TemplateEntry]:
    """Every template, by name."""
    sent = files.workflows.templates()
    found = []
    for name in files.templates.names:
        machine, emails = sent.get(name, (None, ()))
        audiences = ", ".join(dict.fromkeys(email.to.name.replace("_", " ") for email in emails))
        sender = machine.name if machine else "digests" if name == DIGEST else "none"
        to = audiences or ("account manager" if name == DIGEST else "")
        found.append(TemplateEntry(name, to, sender, files.templates.languages))
    return found


def preview_template(
    files: Files, template: str, language: str, sample: str | None, reseller: str | None = None
) -> Preview:
    """What `template` makes of a sample, by default of the one in which everything is told. `reseller`: with the
    templates that this one has of its own.
    """
    templates = files.templates if reseller is None else files.templates.of(reseller)
    if template not in templates.names:
        names = templates.names
        raise NotFound("template", template, f"there are {', '.join(names)}{did_you_mean(template, names)}")
    if language not in templates.languages:
        raise NotFound("language", language, f"templates are written in {', '.join(templates.languages)}")
    contexts = samples.contexts(template) if template in samples.FACTS else {}
    if template == DIGEST:
        contexts = {"three mails": samples.DIGEST}
    if not contexts:
        raise NotFound("sample for the template", template, "samples are kept for the shipped templates only")
    name = sample if sample is not None else next(iter(contexts))
    if name not in contexts:
        raise NotFound("sample", repr(name), f"there are: {'; '.join(contexts)}")
    zone = ZoneInfo("Europe/Paris")
    if template == DIGEST:
        digest = render_digest(templates, language, samples.DIGEST, samples.DIGEST_ITEMS, zone, samples.BRAND)
        rendered = digest.rendered
    else:
        rendered = templates.render(template, language, contexts[name], zone, samples.BRAND)
    return Preview(template, language, name, rendered.subject, rendered.text, rendered.html)


def template_problems(files: Files) -> list[str]:
    """Everything wrong with the templates, each rendered in every language with every sample; those of other workflows
    than the shipped with facts that are made up.
    """
    expected, known = facts_of(files.workflows), dict(samples_of(files.workflows))
    contexts, missing = contexts_made_up(files.workflows, files.trade, known)
    known |= contexts
    if files.workflows.root.name == "customer":  # whose account managers may ask for digests
        expected[DIGEST] = list(DIGEST_FACTS)
        known[DIGEST] = {"one mail": samples.DIGEST}
    return [*missing, *check_templates(files.templates, expected, known)]


def facts_of(workflows: Workflows) -> dict[str, list[str]]:
    """Which facts the mails of each template are told, as the workflows declare it."""
    common = COMMON_WORDS if workflows.root.name == "customer" else ("reference",)
    found: dict[str, list[str]] = {}
    for template, (machine, emails) in workflows.templates().items():
        told = [word for email in emails for word in email.says]
        found[template] = sorted({*common, *machine.record_block, *told})
    return found


def samples_of(workflows: Workflows) -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    """The sample contexts of the templates that these workflows send, as far as there are any."""
    return {name: samples.contexts(name) for name in workflows.templates() if name in samples.FACTS}
