"""``authserver key``."""

import json

from tests.cli.conftest import SECRET_KEY, Run

OTHER_KEY = "fedcba9876543210fedcba9876543210"


def test_keys_are_listed_without_their_private_part(run: Run):
    listed = json.loads(run("key", "list", "--json").stdout)
    assert {(key["algorithm"], key["use"], key["state"]) for key in listed} == {
        ("RS256", "sig", "current"),
        ("ES256", "sig", "current"),
        ("RSA-OAEP-256", "enc", "current"),
        ("ECDH-ES", "enc", "current"),
    }
    shown = {"kid", "algorithm", "use", "state", "created_at", "signs_at", "retires_at", "gone_at"}
    assert all(set(key) == shown for key in listed)
    assert listed[0]["kid"] in run("key", "list").stdout


def test_compromised_keys_are_gone_at_once(run: Run):
    before = {key["kid"] for key in json.loads(run("key", "list", "--json").stdout)}
    run("key", "rotate", "--compromised")
    states = {key["kid"]: key["state"] for key in json.loads(run("key", "list", "--json").stdout)}
    assert {states[kid] for kid in before} == {"gone"}
    assert sorted(state for kid, state in states.items() if kid not in before) == ["current"] * 4


def test_a_new_secret_key_takes_over(run: Run):
    new = {"AUTHSERVER_SECRET_KEY": OTHER_KEY, "AUTHSERVER_SECRET_KEY_PREVIOUS": SECRET_KEY}
    assert "sealed 4 values" in run("key", "reseal", **new).stdout
    assert "nothing keeps" in run("doctor", "--development", AUTHSERVER_SECRET_KEY=OTHER_KEY).stdout
    assert "cannot be opened" in run("doctor", "--development", status=1).stdout


def test_a_value_that_no_key_opens_is_a_sentence(run: Run):
    result = run("key", "reseal", status=1, AUTHSERVER_SECRET_KEY=OTHER_KEY)
    assert result.stderr.startswith("authserver: signing key ")
    assert result.stderr.count("\n") == 1
