"""``authserver doctor`` and ``authserver worker``."""

import json
from pathlib import Path

from tests.cli.conftest import Run


def test_the_doctor_finds_a_healthy_deployment_healthy(run: Run):
    assert "nothing keeps this deployment from serving" in run("doctor", "--development").stdout
    report = json.loads(run("doctor", "--development", "--json").stdout)
    assert report["problems"] == []
    assert report["overview"]["signing_keys"] == 2


def test_the_doctor_ends_with_status_1_when_something_is_wrong(run: Run, tmp_path: Path):
    empty = f"sqlite:///{tmp_path / 'empty.db'}"
    report = json.loads(run("doctor", "--development", "--json", status=1, AUTHSERVER_DATABASE_URL=empty).stdout)
    assert "db upgrade" in report["problems"][0]


def test_the_doctor_says_what_serve_would_refuse_of_the_settings(run: Run):
    assert "problem: ISSUER must be https" in run("doctor", status=1).stdout


def test_the_worker_does_one_round(run: Run):
    run("worker", "--once")
