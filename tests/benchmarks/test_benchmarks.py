"""The benchmarks run, and compare like with like; how fast they are is for a quiet machine to say."""

import json

from benchmarks import heart, idle, mails, punctual


def test_the_heart_is_measured_beside_a_limit_that_writes_the_same_rows(capsys):
    assert heart.main(["--database", "sqlite", "--cases", "50", "--runs", "1", "--batch", "20", "--json"]) == 0

    told = json.loads(capsys.readouterr().out)
    assert [(each["database"], each["work"]) for each in told["results"]] == [
        ("sqlite", "drain due timers"),
        ("sqlite", "post a file of events"),
    ]
    for each in told["results"]:
        assert len(each["ours"]) == len(each["limit"]) == 1
        assert each["ours"][0] > 0
        assert each["limit"][0] > 0
        assert each["ratio"] > 0
        assert each["rows"]["history"] >= 50
    assert told["machine"]["cases"] == 50


def test_the_table_for_people_names_the_limits_own_rate(capsys):
    assert heart.main(["--database", "sqlite", "--cases", "8", "--runs", "1"]) == 0

    told = capsys.readouterr().out
    assert "the limit /s" in told
    assert "drain due timers" in told


def test_mails_are_measured_beside_the_same_pool_sending_their_bytes(capsys):
    assert mails.main(["--database", "sqlite", "--mails", "120", "--runs", "1", "--json"]) == 0

    (told,) = json.loads(capsys.readouterr().out)["results"]
    assert told["database"] == "sqlite"
    assert told["ours"][0] > 0
    assert told["limit"][0] > 0
    assert told["bytes_a_mail"] > 5_000, "text and HTML"


def test_alarms_are_measured_one_by_one_and_none_rings_early(capsys):
    assert punctual.main(["--database", "sqlite", "--alarms", "3", "--json"]) == 0

    (told,) = json.loads(capsys.readouterr().out)["results"]
    assert (told["alarms"], told["early"]) == (3, 0)
    assert 0 <= told["p50"] <= told["p99"] <= told["worst"]
    assert told["seen_p50"] > told["p50"]


def test_an_idle_daemon_is_measured_with_timers_and_without(capsys):
    assert idle.main(["--database", "sqlite", "--timers", "1000", "--seconds", "1", "--json"]) == 0

    (told,) = json.loads(capsys.readouterr().out)["results"]
    assert (told["database"], told["timers"]) == ("sqlite", 1000)
    assert told["empty"] >= 0
    assert told["full"] >= 0
