"""``authserver client``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from authserver.crypto import client_secret_digest
from authserver.manage import registration_tokens
from authserver.store import Store
from tests.cli.conftest import Run

CLIENT = {"client_id": "c", "redirect_uris": ["https://client.example/cb"], "client_name": "Kiosk"}


def test_a_client_is_added_from_standard_input(run: Run, store: Store):
    answer = json.loads(run("client", "add", "--json", "-", given=CLIENT).stdout)
    assert answer["client_id"] == "c"
    assert isinstance(answer["client_id_issued_at"], int)
    assert answer["client_secret_expires_at"] == 0
    client = store.clients.get("c")
    assert client is not None
    assert client.secrets[0].digest == client_secret_digest(answer["client_secret"])


def test_a_client_is_added_from_a_file(run: Run, tmp_path: Path):
    file = tmp_path / "client.json"
    file.write_text(json.dumps(CLIENT))
    assert json.loads(run("client", "add", "--json", str(file)).stdout)["client_name"] == "Kiosk"


def test_an_issuer_on_loopback_is_no_mistake_for_an_administrator(run: Run):
    run("client", "add", "--json", "-", given=CLIENT, AUTHSERVER_ISSUER="http://localhost:9555")
    run("client", "list", AUTHSERVER_ISSUER="https://login.example.test")


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ('{"client_id": "c"', "not JSON"),
        ("[]", "not a JSON object"),
        ('{"client_id": "c", "client_id": "d"}', "twice"),
        ('{"grace_seconds": NaN}', "NaN"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe{", "not JSON"),
        ('{"redirect_uris": ["javascript:x"]}', "redirect_uris"),
        ('{"redirect_uri": "https://client.example/cb"}', "unknown member: redirect_uri"),
        ('{"client_name": "\\ud800"}', "client_name"),
    ],
    ids=range(9),
)
def test_a_mistake_is_one_sentence_on_standard_error(run: Run, given: str | bytes, word: str):
    result = run("client", "add", "--json", "-", given=given, status=1)
    assert result.stdout == ""
    assert result.stderr.startswith("authserver: ")
    assert result.stderr.count("\n") == 1
    assert word in result.stderr


def test_a_missing_file_is_a_sentence(run: Run):
    assert "No such file" in run("client", "add", "--json", "nowhere.json", status=2).stderr


def test_the_same_id_again_is_refused(run: Run):
    run("client", "add", "--json", "-", given=CLIENT)
    assert "registered already" in run("client", "add", "--json", "-", given=CLIENT, status=1).stderr


def test_clients_are_listed_for_people_and_programs(run: Run):
    run("client", "add", "--json", "-", given=CLIENT)
    assert "Kiosk" in run("client", "list").stdout
    listed = json.loads(run("client", "list", "--json").stdout)
    assert [one["client_id"] for one in listed] == ["c"]


def test_what_is_shown_holds_no_secret(run: Run):
    secret = json.loads(run("client", "add", "--json", "-", given=CLIENT).stdout)["client_secret"]
    for command in (["show", "c"], ["show", "c", "--json"], ["list"], ["list", "--json"]):
        shown = run("client", *command).stdout
        assert "c" in shown
        assert secret not in shown
        assert client_secret_digest(secret).hex() not in shown


def test_a_secret_is_rotated_and_shown_once(run: Run, store: Store):
    first = json.loads(run("client", "add", "--json", "-", given=CLIENT).stdout)["client_secret"]
    second = json.loads(run("client", "rotate-secret", "c", "--keep-seconds", "0").stdout)["client_secret"]
    assert first != second
    client = store.clients.get("c")
    assert client is not None
    assert [known.digest for known in client.secrets] == [client_secret_digest(second)]


def test_a_client_is_switched_off_on_and_removed(run: Run):
    run("client", "add", "--json", "-", given=CLIENT)
    run("client", "disable", "c")
    assert "disabled" in run("client", "list").stdout
    run("client", "enable", "c")
    run("client", "remove", "c")
    for command in (["show", "c"], ["disable", "c"], ["remove", "c"], ["rotate-secret", "c"]):
        assert "there is no client" in run("client", *command, status=1).stderr


def test_of_two_operators_who_add_the_same_client_one_wins(environ: dict[str, str], store: Store):
    command = [sys.executable, "-m", "authserver", "client", "add", "--json", "-"]
    running = [
        subprocess.Popen(command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(json.dumps(CLIENT).encode())
        process.stdin.close()
        process.stdin = None
    ended = [(*process.communicate(timeout=60), process.returncode) for process in running]
    assert sorted(status for *_, status in ended) == [0, 1, 1]
    secrets = [json.loads(out)["client_secret"] for out, _, status in ended if status == 0]
    assert all(b"registered already" in err for _, err, status in ended if status == 1)
    client = store.clients.get("c")
    assert client is not None
    assert [known.digest for known in client.secrets] == [client_secret_digest(secret) for secret in secrets]


def test_an_initial_access_token_is_printed_and_nothing_else(run: Run, store: Store):
    token = run("client", "initial-access-token", "--uses", "2", "--days", "1").stdout.strip()
    assert [registration_tokens.spend_initial(store, token) is not None for _ in range(3)] == [True, True, False]
    for wrong in (("--uses", "0"), ("--days", "0"), ("--days", "400")):
        run("client", "initial-access-token", *wrong, status=2)


def test_initial_access_tokens_are_listed_and_withdrawn_by_their_ids(run: Run, store: Store):
    token = run("client", "initial-access-token", "--uses", "2").stdout.strip()
    (listed,) = json.loads(run("client", "initial-access-tokens", "--json").stdout)
    assert listed["uses_left"] == 2
    table = run("client", "initial-access-tokens").stdout
    assert listed["id"] in table
    assert token not in table
    assert "withdrawn" in run("client", "withdraw-initial-access-token", listed["id"]).stdout
    assert registration_tokens.spend_initial(store, token) is None
    assert "there is no" in run("client", "withdraw-initial-access-token", listed["id"], status=1).stderr
