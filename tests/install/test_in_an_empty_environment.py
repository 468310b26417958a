"""From nothing to a running daemon, with the wheel alone."""

import json
import signal
from pathlib import Path

import pytest

from tests.daemon.processes import Daemon
from tests.install.conftest import ROOT, Stranger

pytestmark = pytest.mark.xdist_group("wheel")

WHERE = """
import json, sys, vipflow, vipflow.config
print(json.dumps([vipflow.__file__, str(vipflow.config.shipped("workflows")), sys.path]))
"""


def test_what_runs_is_the_wheel_and_not_a_checkout(stranger: Stranger):
    package, shipped, path = json.loads(stranger("python", "-c", WHERE).stdout)
    assert Path(package).is_relative_to(stranger.environment)
    assert Path(shipped).is_relative_to(stranger.environment)
    assert str(ROOT) not in path


def test_a_handful_of_commands_lead_from_nothing_to_a_daemon(stranger: Stranger, tmp_path: Path):
    made = stranger("vipflow", "init", "north", "--with", "all", "--json", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    enter, *commands, serve = json.loads(made.stdout)["next"]
    assert (enter, serve) == ("cd north", "vipflow serve")
    for command in commands:
        done = stranger("bash", "-c", command, folder=tmp_path / "north")
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    program = str(stranger.environment / "bin" / "vipflow")
    daemon = Daemon([program, "serve", "--port", "0"], tmp_path / "north", stranger.env)
    try:
        daemon.wait_for("daemon_ready")
        assert daemon.get("/readyz").status == 200
        assert daemon.stop(signal.SIGTERM) == 0
    finally:
        daemon.kill()
    verified = stranger("vipflow", "verify", "--config", str(tmp_path / "north" / "config.toml"))
    assert verified.returncode == 0, verified.stdout


def test_the_example_year_comes_along(stranger: Stranger):
    script = "from vipflow.operations.demo import read_year, shipped_year; print(read_year(shipped_year()).starts_at)"
    done = stranger("python", "-c", script)
    assert done.returncode == 0, done.stderr
