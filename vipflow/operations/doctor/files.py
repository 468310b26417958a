"""What people wrote: settings, workflows, policies, catalogue, templates; and whether stored rows still find themselves
in it.
"""

from __future__ import annotations

from collections.abc import Iterator

from vipflow.config import CONFIG, NO_CONFIG, ConfigError, Settings, find_config, load_settings
from vipflow.errors import VipflowError, did_you_mean
from vipflow.machine import Workflows
from vipflow.operations.checking import check_all
from vipflow.operations.doctor.findings import Finding, Unknown, counted, do, error, ok, warning
from vipflow.operations.doctor.patient import Patient
from vipflow.operations.installation import load_workflow_files
from vipflow.store.health import Stored, stored_names

_SHOWN = 5  # problems of one kind; `vipflow check` shows all


def settings(patient: Patient) -> Iterator[Finding]:
    """Whether there is a file, and every setting in it is one."""
    file = find_config(patient.config)
    if file is None:
        remedy = f"Go to its folder, or name it with --config or {CONFIG}. For a new installation an empty one will do:"
        says = NO_CONFIG[1][:1].upper() + NO_CONFIG[1][1:]
        yield error("file", f"{says}.", remedy, "touch config.toml", "vipflow db migrate")
        return
    try:
        load_settings(patient.config)
    except ConfigError as wrong:
        for problem in wrong.problems:
            yield error(
                "file", f"{wrong.where}: {problem}.", "Put it right; docs/reference/settings.md tells every setting."
            )
        return
    yield ok("file", f"{file} holds settings only.")


def everything_written(patient: Patient) -> Iterator[Finding]:
    """What `vipflow check` says, in short."""
    try:
        _read_settings(patient)
    except ConfigError:
        raise Unknown("the settings cannot be read", "Put the settings right first.") from None
    report = check_all(patient.config)
    config = f" --config {patient.config}" if patient.config is not None else ""
    for area, told in report.checked.items():
        if area not in report.problems and area != "settings":
            yield ok(area, f"{area[:1].upper()}{area[1:]}: {told}.")
    for area, problems in report.problems.items():
        for problem in problems[:_SHOWN]:
            says = " ".join(problem.split())
            yield error(
                area, says + ("" if says.endswith(".") else "."), "Put it right, then check.", f"vipflow check{config}"
            )
        if problems[_SHOWN:]:
            says = f"{area[:1].upper()}{area[1:]} have {counted(len(problems) - _SHOWN, 'more problem')}."
            yield error(area, says, "See them all.", f"vipflow check{config}")


def _read_settings(patient: Patient) -> Settings:
    """The shipped defaults where there is no file: what comes with vipflow can be checked all the same."""
    return load_settings(patient.config)


def stored_still_declared(patient: Patient) -> Iterator[Finding]:
    """Whether the states and timers of some tens of thousands of rows are known to the workflow files."""
    yield from _stored(patient, patient.limits.rows)


def all_stored_still_declared(patient: Patient) -> Iterator[Finding]:
    """The same of every row: minutes for millions."""
    yield from _stored(patient, None)


def _stored(patient: Patient, most: int | None) -> Iterator[Finding]:
    try:
        workflows = load_workflow_files(patient.settings.folders.workflows)
    except VipflowError:
        raise Unknown("the workflow files cannot be loaded", "Put the workflow files right first.") from None
    with patient.rows() as connection:
        stored = stored_names(connection, most)
    strange = list(_strange(stored, workflows))
    for says, remedy in strange:
        yield error("stored", says, remedy, "vipflow workflow list")
    if not strange:
        seen = "all cases and timers" if stored.whole else f"the first {most:,} cases and timers"
        more = "" if stored.whole else " (`vipflow doctor --only stored` looks at all)"
        yield ok("stored", f"The states and timers of {seen} are declared{more}.")


def _strange(stored: Stored, workflows: Workflows) -> Iterator[tuple[str, str]]:
    names = [machine.name for machine in workflows]
    for (workflow, state), count in sorted(stored.states.items()):
        machine = workflows.get(workflow)
        cases = counted(count, "case")
        if machine is None:
            near, run = did_you_mean(workflow, names), do(count, "runs", "run")
            says = f"{cases} {run} the workflow {workflow}, which no file declares{near}."
            yield says, "Bring its file back: nothing can happen to them without it."
        elif state not in machine.states:
            near, are = did_you_mean(state, machine.states), do(count, "is", "are")
            says = f"{cases} of {workflow} {are} {state}, a state that its file does not declare{near}."
            yield says, f"Declare {state} again in the file of {workflow}, with ways out of it."
    for (workflow, event), count in sorted(stored.events.items()):
        machine = workflows.get(workflow)
        if machine is not None and event not in {sent for timers in machine.timers.values() for sent, _, _ in timers}:
            says = f"{counted(count, 'timer')} of {workflow} will send {event}, which no timer of its file sends."
            yield says, f"Declare the timer that sends {event} again in the file of {workflow}."


def reseller_folders(patient: Patient) -> Iterator[Finding]:
    """Whether each folder of a reseller's own templates has its reseller."""
    folder = patient.settings.folders.reseller_templates
    if folder is None:
        return
    if not folder.is_dir():
        remedy = "Make it, or take folders.reseller_templates out of config.toml."
        yield error("reseller templates", f"The folder {folder} is not there.", remedy, f"mkdir -p {folder}")
        return
    keys = [tenant.key for tenant in patient.tenants]
    found = sorted(each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith((".", "_")))
    strangers = [name for name in found if name not in keys]
    for name in strangers:
        near = did_you_mean(name, keys)
        says = f"{folder / name} holds templates of {name!r}, which is no reseller{near}: nobody uses them."
        yield warning("reseller templates", says, "Name the folder as the reseller's key.", "vipflow reseller list")
    if not strangers:
        yield ok("reseller templates", f"{counted(len(found), 'reseller')} with templates of their own.")
