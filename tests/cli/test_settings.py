"""Which settings count, and what is said of wrong ones."""

import re
import tomllib
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from vipflow.config import ConfigError, Settings, load_settings, sections, shipped

NEEDS_NONE = [
    ["version"],
    ["calendar", "renewal", "--anniversary", "2025-01-16"],
    ["check"],
    ["workflow", "list"],
    ["mail", "preview", "invitation"],
]
NEEDS_ONE = [
    ["timers"],
    ["history", "C-7K3F-9QTD"],
    ["explain", "C-7K3F-9QTD"],
    ["next", "C-7K3F-9QTD"],
    ["mail", "list"],
    ["incident", "list"],
    ["event", "post", "-"],
    ["verify"],
    ["db", "migrate"],
    ["db", "status"],
]


@pytest.mark.parametrize("arguments", NEEDS_NONE, ids=" ".join)
def test_without_a_config_some_commands_run_on_shipped_defaults(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    assert cli(*arguments).code == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", NEEDS_ONE, ids=" ".join)
def test_without_a_config_the_others_say_what_to_do(cli: Cli, tmp_path: Path, arguments: list[str]) -> None:
    found = cli(*arguments)
    assert found.code == 2
    assert "no config.toml here" in found.err
    assert "--config" in found.err
    assert "vipflow db migrate" in found.err
    assert list(tmp_path.iterdir()) == []


def test_the_file_named_on_the_command_line_counts_first(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "."):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "config.toml").write_text("")
    assert load_settings(None).file == Path("config.toml")
    monkeypatch.setenv("VIPFLOW_CONFIG", "a/config.toml")
    assert load_settings(None).file == Path("a/config.toml")
    assert load_settings(Path("b/config.toml")).file == Path("b/config.toml")


def test_relative_paths_count_from_the_folder_of_the_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    file = tmp_path / "there" / "config.toml"
    file.write_text(
        '[database]\nurl = "sqlite:///data/v.db"\n[folders]\nworkflows = "w"\nemail_templates = ["t", "/abs"]\n'
        '[mail]\nfolder = "out"\n'
    )
    settings = load_settings(file)
    assert settings.database.url == f"sqlite:///{tmp_path}/there/data/v.db"
    assert settings.folders.workflows == tmp_path / "there" / "w"
    assert settings.folders.email_templates == (tmp_path / "there" / "t", Path("/abs"))
    assert settings.mail.folder == tmp_path / "there" / "out"


def test_a_variable_counts_before_the_file(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text('[database]\nurl = "sqlite:///file.db"\n')
    monkeypatch.setenv("VIPFLOW_DATABASE__URL", "postgresql://u:p@host/name")
    assert load_settings(None).database.url == "postgresql://u:p@host/name"


def test_everything_wrong_is_said_at_once(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text(
        'databse = 1\nmail = "x"\n[database]\nurl = "mysql://x"\nulr = "y"\n[folders]\nworkflows = 3\n'
    )
    monkeypatch.setenv("VIPFLOW_FOLDERS__WORKFLOW", "x")
    found = cli("timers")
    assert found.code == 2
    assert found.err.splitlines() == [
        "config.toml: 6 problems",
        "  - the environment variable VIPFLOW_FOLDERS__WORKFLOW is none of ours "
        "(did you mean VIPFLOW_FOLDERS__WORKFLOWS?)",
        "  - database.url = 'mysql://x': write sqlite:///<path> or postgresql://<user>:<password>@<host>/<name>",
        "  - there is no setting database.ulr (did you mean url?)",
        '  - folders.workflows = 3: write a text, in "quotes"',
        "  - mail = 'x': it is a table; write [mail] and its settings below",
        "  - there is no section databse (did you mean database?)",
    ]


def test_a_value_set_by_a_variable_is_blamed_on_it(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIPFLOW_MAIL__TRANSPORT", "pigeon")
    found = cli("calendar", "renewal", "--anniversary", "2025-01-16")
    assert found.code == 2
    assert (
        found.err
        == 'the environment: mail.transport = \'pigeon\' (set by VIPFLOW_MAIL__TRANSPORT): write "file" or "smtp"\n'
    )


SMTP = [
    ('username = "u"\npassword = "tops3cret"\npassword_file = "p"', "smtp: password and password_file are both given"),
    ('password = "tops3cret"', "smtp: there is a password but no username: write smtp.username"),
    ('username = "u"', "smtp: there is a username but no password: give VIPFLOW_SMTP__PASSWORD"),
    (
        'host = "mail.example.com"\nsecurity = "none"\nusername = "u"\npassword = "tops3cret"',
        "smtp: the password would travel readable to mail.example.com",
    ),
    ('security = "none"\nca_file = "ca.pem"', "smtp: ca_file is for encrypted lines"),
    ("username = 3\npassword = 7071", 'smtp.password: write a text, in "quotes"'),
    ('password = ["tops3cret"]', 'smtp.password: write a text, in "quotes"'),
    ('host = "mail.example.com:587"', "smtp.host = 'mail.example.com:587': write the server's name or address alone"),
    ('host = "smtp://u:tops3cret@mail.example.com"', "smtp.host = 'smtp:***@mail.example.com': write the server's"),
    ('bounces_to = "a@b.example, c@d.example"', "write one address, such as bounces@example.com"),
    ('security = "ssl"', 'smtp.security = \'ssl\': write "starttls", "tls" or "none"'),
    ("rate = 0", "smtp.rate = 0: write more than 0"),
]


@pytest.mark.parametrize(("content", "says"), SMTP)
def test_settings_of_the_mail_server_that_do_not_fit_are_told_without_the_password(
    cli: Cli, tmp_path: Path, content: str, says: str
) -> None:
    (tmp_path / "config.toml").write_text(f"[smtp]\n{content}\n")
    found = cli("timers")
    assert found.code == 2
    assert says in found.err
    assert "tops3cret" not in found.err
    assert "7071" not in found.err


def test_a_password_of_the_environment_goes_with_a_username_of_the_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('[smtp]\nusername = "u"\n')
    monkeypatch.setenv("VIPFLOW_SMTP__PASSWORD", "tops3cret")
    smtp = load_settings(None).smtp
    assert smtp.password is not None
    assert smtp.password.get_secret_value() == "tops3cret"
    assert "tops3cret" not in repr(smtp)


def test_a_secret_in_a_url_or_a_wrong_table_is_not_repeated(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(
        '[database]\nurl = "mysql://u:tops3@cret@host/name"\n[[smtp]]\npassword = "tops3cret"\n'
    )
    with pytest.raises(ConfigError) as wrong:
        load_settings(None)
    assert "cret" not in str(wrong.value)
    assert "tops3" not in str(wrong.value)
    assert "@host/name" in str(wrong.value)
    assert "smtp: it is a table" in str(wrong.value)


_EXAMPLES = {
    "folders.reseller_templates",
    "smtp.ca_file",
    "smtp.username",
    "smtp.password_file",
    "smtp.rate",
    "smtp.bounces_to",
    "clock.stands_at",
    "clock.continues_from",
}
"""Settings without a default: what stands there for them is one of many."""


def test_the_shipped_config_shows_every_setting_and_its_default(tmp_path: Path) -> None:
    text = shipped("config.toml").read_text(encoding="utf-8").partition("# [imports.")[0]  # profiles have no defaults
    shown = re.sub(r"^# (?=[a-z_]+ = )", "", text, flags=re.MULTILINE)
    said = {f"{table}.{key}": value for table, keys in tomllib.loads(shown).items() for key, value in keys.items()}
    names = {f"{name}.{key}" for name, section in sections().items() for key in section.model_fields}
    assert {*said} == names - {"smtp.password"}, "a password is not for a file that others read"
    kept = [
        line
        for line in shown.splitlines()
        if not re.match(rf"({'|'.join(n.partition('.')[2] for n in _EXAMPLES)}) =", line)
    ]
    (tmp_path / "config.toml").write_text("\n".join(kept), encoding="utf-8")
    (tmp_path / "empty.toml").touch()
    said_so, said_nothing = (load_settings(tmp_path / name).model_dump() for name in ("config.toml", "empty.toml"))
    assert said_so == said_nothing
    for name in _EXAMPLES:
        table, _, key = name.partition(".")
        assert getattr(getattr(Settings(), table), key) is None, f"{name} has a default: show that"


def test_what_comes_with_vipflow_has_a_word(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[folders]\nworkflows = "shipped"\nemail_templates = ["shipped", "./shipped"]\n')
    folders = load_settings(config).folders
    assert folders.workflows == shipped("workflows")
    assert folders.email_templates == (shipped("email_templates"), tmp_path / "shipped")
