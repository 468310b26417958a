"""The settings of an installation: `config.toml`, and `VIPFLOW_…` variables over it.

Without either, everything has its default. Everything that is wrong is said at once: where, which key, which value,
what would be right.
"""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

import vipflow
from vipflow.errors import VipflowError, did_you_mean, listed
from vipflow.profiles import ImportProfile

CONFIG = "VIPFLOW_CONFIG"
FILE = "config.toml"
PREFIX = "VIPFLOW_"
SHIPPED = "shipped"
"""Written for a folder: what comes with vipflow. (One of that name beside the file is written "./shipped".)"""
NOT_SETTINGS = frozenset(
    {CONFIG, "VIPFLOW_AS", "VIPFLOW_RESELLER", "VIPFLOW_REQUIRE", "VIPFLOW_PYTHONS", "VIPFLOW_TRACEBACK"}
)
"""Variables of ours that say something else."""

NO_CONFIG = (
    "the settings",
    f"there is no {FILE} here",
    f"go to its folder, or name it with --config or {CONFIG}; for a new installation run `vipflow init <folder>`, "
    "and `vipflow db migrate` in it",
)
"""What to say where a command needs an installation and finds none: what, problem, remedy."""


class ConfigError(VipflowError):
    """Raised when the settings cannot be used; it carries every problem at once.

    >>> print(ConfigError("config.toml", "there is no setting databse (did you mean database?)"))
    config.toml: there is no setting databse (did you mean database?)
    """

    exit_code = 2

    def __init__(self, where: str, *problems: str) -> None:
        super().__init__(f"{where}: {listed(problems)}")
        self.where = where
        self.problems = problems


def shipped(name: str) -> Path:
    """A folder or file that comes with vipflow: inside the installed package, or beside it in a checkout."""
    package = Path(vipflow.__file__).parent
    inside = package / "_shipped"
    return (inside if inside.is_dir() else package.parent) / name


_URLS = "write sqlite:///<path> or postgresql://<user>:<password>@<host>/<name>"


class Section(BaseModel):
    """A table of the file. Each setting's description is what `config.toml` says of it."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _sound(cls, value: Any) -> Any:
        """Whatever a text is for: something must stand in it, and nothing that cannot be seen."""
        if isinstance(value, str) and not value.strip():
            raise ValueError("it is empty; write a text, or leave it out")
        texts = value if isinstance(value, (list, tuple)) else [value]
        if any(isinstance(each, str) and _UNSEEN.search(each) for each in texts):
            raise ValueError("it holds control characters; remove them")
        return value


_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class DatabaseSettings(Section):
    url: str = Field(
        default="sqlite:///var/vipflow.db",
        description="sqlite:///<path> or postgresql://<user>:<password>@<host>/<name>",
    )

    @field_validator("url")
    @classmethod
    def _known(cls, url: str) -> str:
        if not url.startswith(("sqlite:///", "postgresql://", "postgresql+psycopg://")):
            raise ValueError(_URLS)
        from sqlalchemy import make_url  # settings are read by commands that need no database
        from sqlalchemy.exc import ArgumentError

        try:
            named = make_url(url)
        except (ValueError, ArgumentError):
            raise ValueError(f"it is no URL; {_URLS}") from None
        if named.drivername == "sqlite" and named.database in (None, "", ":memory:"):
            raise ValueError("it names no file; write sqlite:///<path>")
        if named.drivername != "sqlite" and not named.database:
            raise ValueError("it names no database; write postgresql://<user>:<password>@<host>/<name>")
        return url


class FolderSettings(Section):
    workflows: Path = Field(
        default_factory=lambda: shipped("workflows"),
        description='a folder of workflow files; "shipped": those that come with vipflow',
    )
    email_templates: tuple[Path, ...] = Field(
        default_factory=lambda: (shipped("email_templates"),),
        description='folders of templates, a later one over an earlier; "shipped": those that come with vipflow',
    )
    policies: tuple[Path, ...] = Field(
        default=(), description="folders of policies of your own, beside the shipped ones"
    )
    catalogues: tuple[Path, ...] = Field(
        default=(), description="product files of your own, over the shipped catalogue"
    )
    reseller_templates: Path | None = Field(
        default=None, description="templates of single resellers: <folder>/<reseller>/<template>/<language>/..."
    )

    @field_validator("workflows", mode="before")
    @classmethod
    def _workflows(cls, value: Any) -> Any:
        return shipped("workflows") if value == SHIPPED else value

    @field_validator("email_templates", mode="before")
    @classmethod
    def _templates(cls, value: Any) -> Any:
        several = (value,) if isinstance(value, str) else value
        if isinstance(several, (list, tuple)):
            return tuple(shipped("email_templates") if each == SHIPPED else each for each in several)
        return several

    @field_validator("policies", "catalogues", mode="before")
    @classmethod
    def _one_or_several(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value


_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = rf"^{_LABEL}(\.{_LABEL})*$"


class MailSettings(Section):
    transport: Literal["file", "smtp"] = Field(
        default="file", description='"file": each mail becomes an .eml file; "smtp": it is sent'
    )
    folder: Path = Field(default=Path("var/mail"), description="where they are written")
    domain: str = Field(
        default="vipflow.invalid", description="after the @ in Message-IDs; a domain of yours", pattern=_DOMAIN
    )
    copies: int = Field(
        default=3, ge=1, le=10, description="of a mail of which nobody knows whether it arrived, at most so many copies"
    )
    give_up_after_days: int = Field(
        default=5, ge=1, le=30, description="how long a mail that is not taken over is tried again"
    )


class SmtpSettings(Section):
    """The mail server that takes our mails over, where `mail.transport` is "smtp"."""

    host: str = Field(default="localhost", min_length=1, description="the mail server")
    port: int = Field(default=587, ge=1, le=65535, description="587 with STARTTLS, 465 with TLS from the start")
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls", description='"starttls", "tls", or "none" for a server on this machine'
    )
    ca_file: Path | None = Field(default=None, description="whose certificates are trusted, if not the system's")
    username: str | None = Field(default=None, description="for AUTH; left out, none is made")
    password: SecretStr | None = Field(default=None, description="best given as VIPFLOW_SMTP__PASSWORD")
    password_file: Path | None = Field(default=None, description="a file that holds the password")
    connections: int = Field(default=4, ge=1, le=50, description="open at once, each used for many mails")
    rate: float | None = Field(default=None, gt=0, description="at most so many mails a second; without it, no limit")
    # A mail is in hand for four of them at most, and that must be over before its lease is.
    timeout: float = Field(default=30, gt=0, le=60, description="seconds to wait for an answer of the server")
    bounces_to: str | None = Field(
        default=None, description="the envelope's sender, where bounces come in; else the reseller's sender"
    )

    @field_validator("host")
    @classmethod
    def _bare(cls, host: str) -> str:
        if re.search(r"[\s/@\[\]]", host) or (":" in host and not _is_address(host)):
            raise ValueError("write the server's name or address alone; its port is a setting of its own, smtp.port")
        return host

    @field_validator("bounces_to")
    @classmethod
    def _one_address(cls, address: str | None) -> str | None:
        if address is not None and not re.fullmatch(r"[^\s@,;<>]+@[^\s@,;<>]+", address):
            raise ValueError("write one address, such as bounces@example.com")
        return address

    @model_validator(mode="after")
    def _agrees(self) -> SmtpSettings:
        """What single settings cannot say: several of them make sense only together."""
        has_password = self.password is not None or self.password_file is not None
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both given: keep one of them")
        if has_password and self.username is None:
            raise ValueError("there is a password but no username: write smtp.username, or leave the password out")
        if self.username is not None and not has_password:
            raise ValueError(
                "there is a username but no password: give VIPFLOW_SMTP__PASSWORD or smtp.password_file, "
                "or leave the username out"
            )
        if self.security == "none" and self.username is not None and not _is_here(self.host):
            raise ValueError(
                f"the password would travel readable to {self.host}: "
                'write security = "starttls" or "tls"; "none" is for a server on this machine'
            )
        if self.security == "none" and self.ca_file is not None:
            raise ValueError('ca_file is for encrypted lines: write security = "starttls" or "tls", or leave it out')
        return self


class DaemonSettings(Section):
    """`vipflow serve`."""

    host: str = Field(default="127.0.0.1", description="where the web application listens")
    port: int = Field(default=8470, ge=0, le=65535, description="its port; 0 takes a free one and says which")
    folder: Path = Field(default=Path("var/daemon"), description="what a daemon notes for its next start")
    catch_up_mails: int = Field(
        default=200, ge=1, le=1_000_000, description="so many mails over a day late wait until somebody approves them"
    )
    grace_minutes: float = Field(
        default=15,
        ge=0,
        le=10_080,
        description="after a silence of 10 minutes timers wait so long, for events to arrive first",
    )


class AuditSettings(Section):
    """The seals over history."""

    key: Path = Field(default=Path("var/audit.key"), description="the key that seals are made with; made when missing")
    seals: Path = Field(default=Path("var/audit-seals.jsonl"), description="where each seal is written down too")


class ClockSettings(Section):
    stands_at: datetime | None = Field(
        default=None, description="an instant at which time stands still: to look around in a year that was played"
    )
    continues_from: datetime | None = Field(
        default=None, description="an instant from which time goes on when the daemon first starts: to go on with it"
    )
    speed: float = Field(
        default=1, gt=0, le=100_000, description="how many seconds pass in one, where it continues from an instant"
    )

    @field_validator("stands_at", "continues_from")
    @classmethod
    def _aware(cls, instant: datetime | None) -> datetime | None:
        if instant is not None and instant.tzinfo is None:
            raise ValueError("write it with its offset, e.g. 2025-12-31T18:00:00Z")
        if instant is not None and not 1990 <= instant.year <= 2999:
            raise ValueError("write an instant from 1990 to 2999")
        return instant


class Settings(BaseSettings):
    """All settings. `load_settings` makes their paths absolute."""

    model_config = SettingsConfigDict(
        extra="forbid", frozen=True, env_prefix=PREFIX, env_nested_delimiter="__", validate_default=True
    )
    database: DatabaseSettings = DatabaseSettings()
    folders: FolderSettings = FolderSettings()
    mail: MailSettings = MailSettings()
    smtp: SmtpSettings = SmtpSettings()
    daemon: DaemonSettings = DaemonSettings()
    audit: AuditSettings = AuditSettings()
    clock: ClockSettings = ClockSettings()
    imports: dict[str, ImportProfile] = Field(
        default={}, description="profiles of tables to import, by names of yours: [imports.crm]"
    )

    _file: Path | None = PrivateAttr(None)

    @property
    def file(self) -> Path | None:
        """The file that was read; None for the defaults."""
        return self._file

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment over the file (which comes as `init_settings`), and nothing else."""
        return env_settings, init_settings


def find_config(given: Path | None) -> Path | None:
    """The file to read: `given`, else what VIPFLOW_CONFIG names, else ./config.toml if it is there."""
    if given is not None:
        return given
    named = os.environ.get(CONFIG)
    if named:
        return Path(named)
    here = Path(FILE)
    return here if here.is_file() else None


def load_settings(path: Path | None) -> Settings:
    """The settings of the file that `find_config` finds, the environment over it; the defaults where there is none.

    Relative paths count from the file's folder, or from the current one without a file. Raises ConfigError.
    """
    file = find_config(path)
    how = "named with --config" if path is not None else f"named by {CONFIG}"
    content = written_in(file, how) if file is not None else {}
    problems = list(_unknown_variables())
    try:
        settings = Settings(**content)
    except ValidationError as wrong:
        problems += _told(wrong)
    if problems:
        raise ConfigError(str(file) if file is not None else "the environment", *problems)
    base = (file.parent if file is not None else Path()).resolve()
    return _rooted(settings, base, file)


def written_in(file: Path, how: str = "") -> dict[str, Any]:
    """What a config file says, as it stands; `how` it came to be read. Raises ConfigError where it is no TOML."""
    what = str(file)
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(what, f"there is no such file ({how})") from None
    except UnicodeDecodeError as wrong:
        raise ConfigError(what, f"it is not UTF-8 (byte {wrong.start}); name a text file saved in UTF-8") from None
    except tomllib.TOMLDecodeError as wrong:
        problem = f"it is not TOML: {wrong}; settings are written [section] and, below, name = value"
        raise ConfigError(what, problem) from wrong
    except RecursionError:
        raise ConfigError(what, "it is nested too deep to be read; settings have sections and values") from None
    except ValueError:  # what Python does not read for fear of the time it takes
        raise ConfigError(what, "it holds a number of too many digits; write one that can be") from None
    except OSError as wrong:
        problem = f"it cannot be read ({wrong.strerror}); name a file that this user may read ({how})"
        raise ConfigError(what, problem) from wrong


def sections() -> dict[str, type[Section]]:
    """Every table of the file, by its name."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section)
    }


def variables() -> dict[str, tuple[str, str]]:
    """Every variable that is a setting, with its section and key."""
    return {
        f"{PREFIX}{section}__{key}".upper(): (section, key)
        for section, model in sections().items()
        for key in model.model_fields
    }


def _unknown_variables() -> Iterator[str]:
    known = {*variables(), *NOT_SETTINGS}
    for name in sorted(os.environ):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            near = did_you_mean(name.upper(), known)
            yield f"the environment variable {name} is none of ours{near or '; unset it'}"


def _told(wrong: ValidationError) -> Iterator[str]:
    tables = sections()
    for error in wrong.errors(include_url=False):
        section, *rest = (str(part) for part in error["loc"])
        key = ".".join([section, *rest])
        variable = f"{PREFIX}{section}__{rest[0]}".upper() if rest else ""
        where = f" (set by {variable})" if variable in os.environ else ""
        if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            if variable in os.environ:
                continue  # `_unknown_variables` has told of it
            model = ImportProfile if section == "imports" and len(rest) > 1 else tables.get(section)
            valid = list(model.model_fields) if rest and model is not None else [*tables, "imports"]
            what = "setting" if rest else "section"
            near = did_you_mean(rest[-1] if rest else section, valid)
            yield f"there is no {what} {key}{near or '; there are ' + ', '.join(valid)}"
        elif error["type"] in ("model_type", "model_attributes_type", "dict_type", "tuple_type") and (
            section in tables or section == "imports"
        ):
            yield f"{key}{_shown(error['input'])}{where}: {_table_wanted(error['type'], section, key)}"
        else:
            value = "" if _is_secret(section, rest) else _shown(error["input"])
            yield f"{key}{value}{where}: {_right(error['type'], error['msg'], error.get('ctx', {}))}"


def _table_wanted(kind: str, section: str, key: str) -> str:
    """What to write where several values belong."""
    if section == "imports" and kind == "tuple_type":
        return 'write a heading, or a list of them, each in "quotes"'
    if section == "imports" and ".words." in key:
        return 'it is a table; write their words and ours, as {"PRO" = "commercial"}'
    if kind == "tuple_type":
        return 'write one path or a list of them, each in "quotes"'
    return f"it is a table; write [{key if key != 'imports' else 'imports.NAME'}] and its settings below"


def _is_secret(section: str, rest: Sequence[str]) -> bool:
    field = sections()[section].model_fields.get(rest[0]) if rest and section in sections() else None
    return field is not None and "Secret" in str(field.annotation)


def _shown(value: object) -> str:
    """A wrong value, as others may read it: no whole tables, which may hold secrets, and no password in a URL."""
    if isinstance(value, (dict, list, tuple, BaseModel)):
        return ""
    return " = " + re.sub(r"(//|:)\S*@", r"\1***@", str(value) if isinstance(value, datetime) else repr(value))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _right(kind: str, message: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "literal_error":
            return f"write {context['expected'].replace(chr(39), chr(34))}"
        case "string_pattern_mismatch":
            return "write a domain name, such as mail.example.com"
        case "string_type" | "path_type":
            return 'write a text, in "quotes"'
        case "greater_than_equal":
            return f"write {context['ge']:,g} or more"
        case "greater_than":
            return f"write more than {context['gt']:,g}"
        case "less_than_equal":
            return f"write {context['le']:,g} or less"
        case "int_type" | "int_parsing" | "int_from_float":
            return "write a whole number"
        case "float_type" | "float_parsing" | "finite_number":
            return "write a number"
        case "datetime_type" | "datetime_parsing" | "datetime_from_date_parsing" | "datetime_object_invalid":
            return "write an instant with its offset, e.g. 2025-12-31T18:00:00Z"
        case "string_too_short":
            return "it is empty; write a text, or leave it out"
        case _:
            return message.removeprefix("Value error, ")


def _rooted(settings: Settings, base: Path, file: Path | None) -> Settings:
    folders = settings.folders
    rooted = settings.model_copy(
        update={
            "database": settings.database.model_copy(update={"url": _rooted_url(settings.database.url, base)}),
            "folders": folders.model_copy(
                update={
                    "workflows": base / folders.workflows,
                    "email_templates": tuple(base / each for each in folders.email_templates),
                    "policies": tuple(base / each for each in folders.policies),
                    "catalogues": tuple(base / each for each in folders.catalogues),
                    "reseller_templates": _under(base, folders.reseller_templates),
                }
            ),
            "mail": settings.mail.model_copy(update={"folder": base / settings.mail.folder}),
            "smtp": settings.smtp.model_copy(
                update={
                    "ca_file": _under(base, settings.smtp.ca_file),
                    "password_file": _under(base, settings.smtp.password_file),
                }
            ),
            "daemon": settings.daemon.model_copy(update={"folder": base / settings.daemon.folder}),
            "audit": settings.audit.model_copy(
                update={"key": base / settings.audit.key, "seals": base / settings.audit.seals}
            ),
        }
    )
    rooted._file = file
    return rooted


def _under(base: Path, path: Path | None) -> Path | None:
    return None if path is None else base / path


def _rooted_url(url: str, base: Path) -> str:
    scheme, slashes, path = url.partition(":///")
    if not scheme.startswith("sqlite") or not slashes or path in ("", ":memory:"):
        return url
    return f"{scheme}:///{base / path}"
