"""The transport that the settings ask for."""

from __future__ import annotations

from pathlib import Path

from vipflow.config import ConfigError, Settings, SmtpSettings
from vipflow.delivery.transport import FileTransport, Transport


def make_transport(settings: Settings) -> Transport:
    """Where an installation's mails go. Raises ConfigError where the password cannot be read; connects to nothing."""
    if settings.mail.transport == "file":
        return FileTransport(settings.mail.folder)
    from vipflow.delivery.smtp import SmtpTransport  # asyncio and TLS: only for whom they serve

    where = str(settings.file) if settings.file is not None else "the environment"
    return SmtpTransport(settings.smtp, smtp_password(settings.smtp, where))


def smtp_password(settings: SmtpSettings, where: str) -> str | None:
    """The password for AUTH, from the settings or its file. `where` is named in a ConfigError."""
    if settings.password is not None:
        return settings.password.get_secret_value()
    if settings.password_file is None:
        return None
    return _content(settings.password_file, where)


def _content(file: Path, where: str) -> str:
    key = f"smtp.password_file = {str(file)!r}"
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise ConfigError(where, f"{key}: there is no such file; write the password into it, alone") from None
    except UnicodeDecodeError:
        raise ConfigError(where, f"{key}: it is no text; write the password into it, in UTF-8") from None
    except OSError as wrong:
        raise ConfigError(where, f"{key}: it cannot be read: {wrong.strerror}; let vipflow's user read it") from None
    if not password:
        raise ConfigError(where, f"{key}: it is empty; write the password into it, alone")
    if "\n" in password or "\r" in password or "\0" in password:
        raise ConfigError(where, f"{key}: it has several lines; write the password into it, alone")
    return password
