"""What is said of a setting that has a wrong value: what would be right."""

from pathlib import Path

import pytest

from vipflow.config import ConfigError, load_settings


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('database.url = "postgresql://host:port/name"', "it is no URL; write sqlite:///<path> or postgresql://"),
        ('database.url = "sqlite:///"', "it names no file; write sqlite:///<path>"),
        ('database.url = "postgresql://ada@host"', "it names no database; write postgresql://"),
        ("daemon.port = 99999", "write 65,535 or less"),
        ("daemon.port = -1", "write 0 or more"),
        ('daemon.port = "http"', "write a whole number"),
        ("daemon.grace_minutes = -1", "write 0 or more"),
        ('daemon.grace_minutes = "long"', "write a number"),
        ("mail.copies = 1.5", "write a whole number"),
        ("mail.copies = 0", "write 1 or more"),
        ("clock.speed = 0", "write more than 0"),
        ('clock.stands_at = "yesterday"', "write an instant with its offset, e.g. 2025-12-31T18:00:00Z"),
        ("clock.continues_from = 2025-12-31T18:00:00", "write it with its offset, e.g. 2025-12-31T18:00:00Z"),
        ("audit.key = 7", 'write a text, in "quotes"'),
    ],
)
def test_a_wrong_value_is_answered_with_what_would_be_right(tmp_path: Path, line: str, says: str) -> None:
    (tmp_path / "config.toml").write_text(line)
    with pytest.raises(ConfigError) as wrong:
        load_settings(tmp_path / "config.toml")
    (problem,) = wrong.value.problems
    assert problem.startswith(line.split(" = ", maxsplit=1)[0])
    assert says in problem
