"""Tokens that are bound to a key, at a resource (RFC 9449 7, 9)."""

import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.test import TestResponse

from resourceserver import AccessToken, DPoP, Evidence, MemoryReplays, Nonces, Verifier, protect
from resourceserver.app import create_app
from resourceserver.dpop import ALGORITHMS, NONCE_SECONDS
from resourceserver.errors import InvalidProofError, InvalidTokenError
from resourceserver.settings import load_settings
from tests.flows.racing import race
from tests.proofs import RIGHT_KEYS, WRONG, WRONG_AT_RESOURCES, Prover, Wrong
from tests.resourceserver.conftest import AUDIENCE, Clock, Mint
from tests.resourceserver.stub_issuer import StubIssuer

BASE = "https://api.example"
URL = f"{BASE}/things/one"
ALGS = " ".join(ALGORITHMS)
TOKEN = "bound-token"


@pytest.fixture
def prover() -> Prover:
    return Prover()


@pytest.fixture
def bound(issuer: StubIssuer, prover: Prover) -> None:
    """The issuer knows a token that is bound to the prover's key, and one that is bound to none."""
    confirmed = {"jkt": prover.jkt}
    issuer.answers[TOKEN] = issuer.active(AUDIENCE, token_type="DPoP", cnf=confirmed)
    issuer.answers["free"] = issuer.active(AUDIENCE)


@pytest.fixture
def clients(issuer: StubIssuer, bound: None, by_asking: Verifier) -> Any:
    """A function that makes an API, which checks proofs as these arguments say."""

    def make(**how: Any) -> FlaskClient:
        arguments = {"replays": MemoryReplays(clock=lambda: time.time() - 1000), **how}
        by_asking.dpop = DPoP(BASE, **arguments)
        app = Flask(__name__)
        app.url_map.merge_slashes = False

        @app.route("/things/<path:name>", methods=["GET", "POST"])
        @protect(by_asking, scopes=("read",))
        def things(token: AccessToken, name: str) -> object:
            return name

        @app.get("/secret")
        @protect(by_asking, scopes=("admin",))
        def secret(token: AccessToken) -> object:
            return "secret"

        return app.test_client()

    return make


@pytest.fixture
def client(clients: Any) -> FlaskClient:
    made: FlaskClient = clients()
    return made


def _get(client: FlaskClient, proof: str | None, token: str = TOKEN, scheme: str = "DPoP", **more: Any) -> TestResponse:
    headers = {"Authorization": f"{scheme} {token}"} | ({} if proof is None else {"DPoP": proof})
    return client.get(more.pop("path", "/things/one"), headers=headers, **more)


def _refused(answer: TestResponse, error: str, scheme: str = "DPoP") -> None:
    assert (answer.status_code, answer.json["error"]) == (401, error)
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith(f'{scheme} error="{error}"')
    # 7.1: "An algs parameter SHOULD be included".
    assert challenge.endswith(f'algs="{ALGS}"')
    assert answer.headers["Cache-Control"] == "no-store"
    assert TOKEN not in answer.text + challenge


# 7.1: the scheme.


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP", "dPoP", "DPoP  "])
def test_a_bound_token_with_a_proof_is_let_in_by_a_scheme_of_any_case(
    client: FlaskClient, prover: Prover, scheme: str
) -> None:
    assert _get(client, prover.proof("GET", URL, TOKEN), scheme=scheme).text == "one"


@pytest.mark.parametrize(("name", "algorithm"), RIGHT_KEYS)
def test_every_kind_of_key_serves(issuer: StubIssuer, client: FlaskClient, name: str, algorithm: str) -> None:
    prover = Prover(name, algorithm)
    issuer.answers["its"] = issuer.active(AUDIENCE, token_type="DPoP", cnf={"jkt": prover.jkt})
    assert _get(client, prover.proof("GET", URL, "its"), "its").status_code == 200


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_proof_is_refused(client: FlaskClient, prover: Prover, wrong: Wrong) -> None:
    sent = wrong(prover, "GET", URL, TOKEN).replace("\n", "")
    if sent:
        _refused(_get(client, sent), "invalid_dpop_proof")
    assert _get(client, prover.proof("GET", URL, TOKEN)).status_code == 200


@pytest.mark.parametrize("wrong", WRONG_AT_RESOURCES.values(), ids=WRONG_AT_RESOURCES)
def test_a_proof_that_is_not_for_this_token_is_refused(client: FlaskClient, prover: Prover, wrong: Wrong) -> None:
    answer = _get(client, wrong(prover, "GET", URL, TOKEN))
    assert answer.json["error"] in {"invalid_token", "invalid_dpop_proof"}
    _refused(answer, answer.json["error"])


def test_a_token_without_a_proof_is_refused(client: FlaskClient) -> None:
    _refused(_get(client, None), "invalid_dpop_proof")


def test_two_proofs_are_refused(client: FlaskClient, prover: Prover) -> None:
    headers = [("Authorization", f"DPoP {TOKEN}")] + [("DPoP", prover.proof("GET", URL, TOKEN)) for _ in range(2)]
    _refused(client.get("/things/one", headers=Headers(headers)), "invalid_dpop_proof")


def test_the_proof_is_for_the_method_of_the_request(client: FlaskClient, prover: Prover) -> None:
    for made_for, status in (("POST", 200), ("GET", 401)):
        headers = {"Authorization": f"DPoP {TOKEN}", "DPoP": prover.proof(made_for, URL, TOKEN)}
        assert client.post("/things/one", headers=headers).status_code == status


def test_the_query_does_not_count(client: FlaskClient, prover: Prover) -> None:
    assert _get(client, prover.proof("GET", URL, TOKEN), path="/things/one?a=b").status_code == 200
    assert _get(client, prover.proof("GET", f"{URL}?c=d", TOKEN), path="/things/one?a=b").status_code == 200


@pytest.mark.parametrize(
    ("path", "htu", "status"),
    [
        ("/things/caf%C3%A9%20x", "/things/caf%C3%A9%20x", 200),
        ("/things/a//b", "/things/a//b", 200),
        ("/things/a;b=c,d@e:f", "/things/a;b=c,d@e:f", 200),
        # The router sees one path for these; the proof names another.
        ("/things/a%2Fb", "/things/a%2Fb", 401),
        ("/things/%61", "/things/%61", 401),
        ("/things/a", "/things/%61", 401),
        ("/things/a", "/things/A", 401),
    ],
)
def test_the_path_is_that_which_the_router_saw(
    client: FlaskClient, prover: Prover, path: str, htu: str, status: int
) -> None:
    assert _get(client, prover.proof("GET", BASE + htu, TOKEN), path=path).status_code == status


def test_what_a_request_says_of_host_and_scheme_does_not_count(client: FlaskClient, prover: Prover) -> None:
    forged = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http", "Forwarded": "host=evil.example"}
    for host in ("evil.example", "api.example:1"):
        for url, status in ((URL, 200), (f"https://{host}/things/one", 401), (f"http://{host}/things/one", 401)):
            headers = {"Authorization": f"DPoP {TOKEN}", "DPoP": prover.proof("GET", url, TOKEN), "Host": host}
            assert client.get("/things/one", headers=headers | forged).status_code == status


def test_a_proof_comes_once(client: FlaskClient, prover: Prover) -> None:
    proof = prover.proof("GET", URL, TOKEN)
    assert _get(client, proof).status_code == 200
    _refused(_get(client, proof), "invalid_dpop_proof")


def test_of_many_who_send_one_proof_one_is_let_in(client: FlaskClient, prover: Prover) -> None:
    for _ in range(5):
        proof = prover.proof("GET", URL, TOKEN)
        answers = race([partial(_get, client.application.test_client(), proof) for _ in range(12)])
        assert sorted(answer.status_code for answer in answers) == [200] + [401] * 11


def test_a_full_memory_answers_503_and_lets_nobody_in(clients: Any, prover: Prover) -> None:
    client = clients(replays=MemoryReplays(2, clock=lambda: time.time() - 1000))
    first = prover.proof("GET", URL, TOKEN)
    assert _get(client, first).status_code == 200
    assert _get(client, prover.proof("GET", URL, TOKEN)).status_code == 200
    answer = _get(client, prover.proof("GET", URL, TOKEN))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    _refused(_get(client, first), "invalid_dpop_proof")


def test_proofs_of_another_key_do_not_fill_the_memory(clients: Any, prover: Prover) -> None:
    used = MemoryReplays(2, clock=lambda: time.time() - 1000)
    client = clients(replays=used)
    for _ in range(3):
        _refused(_get(client, Prover("p256_other").proof("GET", URL, TOKEN)), "invalid_token")
        _refused(_get(client, prover.proof("GET", URL, "unknown"), "unknown"), "invalid_token")
    assert len(used) == 0


# 7.2: beside bearer tokens.


def test_a_bound_token_does_not_pass_as_a_bearer_token_with_a_proof_or_without(
    client: FlaskClient, prover: Prover
) -> None:
    for proof in (None, prover.proof("GET", URL, TOKEN)):
        _refused(_get(client, proof, scheme="Bearer"), "invalid_token", "Bearer")


def test_a_bearer_token_does_not_pass_as_a_bound_one(client: FlaskClient, prover: Prover) -> None:
    _refused(_get(client, prover.proof("GET", URL, "free"), "free"), "invalid_token")
    assert _get(client, None, "free", "Bearer").status_code == 200
    # A client may send the header with every request.
    assert _get(client, prover.proof("GET", URL, "free"), "free", "Bearer").status_code == 200


def test_a_request_without_a_token_is_told_both_schemes_and_no_error(client: FlaskClient) -> None:
    answer = client.get("/things/one")
    assert answer.headers["WWW-Authenticate"] == f'Bearer scope="read", DPoP algs="{ALGS}"'


def test_a_refusal_for_another_reason_keeps_the_scheme(client: FlaskClient, prover: Prover) -> None:
    answer = _get(client, prover.proof("GET", f"{BASE}/secret", TOKEN), path="/secret")
    assert answer.status_code == 403
    assert answer.headers["WWW-Authenticate"].startswith('DPoP error="insufficient_scope"')


@pytest.mark.parametrize("header", [f"DPoP {TOKEN}, DPoP {TOKEN}", "DPoP", "DPoP ", f"DPoP {TOKEN} x", f"DPoP={TOKEN}"])
def test_malformed_credentials_are_an_invalid_request(client: FlaskClient, prover: Prover, header: str) -> None:
    headers = {"Authorization": header, "DPoP": prover.proof("GET", URL, TOKEN)}
    assert client.get("/things/one", headers=headers).status_code == 400


def test_both_schemes_at_once_are_an_invalid_request(client: FlaskClient, prover: Prover) -> None:
    headers = [("Authorization", f"Bearer {TOKEN}"), ("Authorization", f"DPoP {TOKEN}")]
    headers.append(("DPoP", prover.proof("GET", URL, TOKEN)))
    assert client.get("/things/one", headers=Headers(headers)).status_code == 400


def test_where_proofs_are_required_a_bearer_token_is_refused(clients: Any, prover: Prover) -> None:
    client = clients(required=True)
    _refused(_get(client, None, "free", "Bearer"), "invalid_token")
    assert client.get("/things/one").headers["WWW-Authenticate"] == f'DPoP scope="read", algs="{ALGS}"'
    assert _get(client, prover.proof("GET", URL, TOKEN)).status_code == 200


@pytest.mark.parametrize(
    "confirmed", [{}, {"x5t#S256": "x"}, {"kid": "x"}, {"jkt": 1}, {"jkt": None}, {"jkt": ["x"]}, {"jkt": "x"}]
)
def test_a_token_with_a_binding_that_is_not_known_is_refused_both_ways(
    issuer: StubIssuer, client: FlaskClient, prover: Prover, confirmed: dict[str, Any]
) -> None:
    issuer.answers["odd"] = issuer.active(AUDIENCE, cnf=confirmed)
    assert _get(client, prover.proof("GET", URL, "odd"), "odd").status_code == 401
    assert _get(client, None, "odd", "Bearer").status_code == 401


def test_a_token_with_a_second_binding_that_is_not_known_is_refused(
    issuer: StubIssuer, client: FlaskClient, prover: Prover
) -> None:
    issuer.answers["twice"] = issuer.active(AUDIENCE, cnf={"jkt": prover.jkt, "kid": "x"})
    _refused(_get(client, prover.proof("GET", URL, "twice"), "twice"), "invalid_token")


def test_a_token_of_the_type_dpop_that_names_no_key_is_refused(issuer: StubIssuer, client: FlaskClient) -> None:
    issuer.answers["odd"] = issuer.active(AUDIENCE, token_type="DPoP")
    assert _get(client, None, "odd", "Bearer").status_code == 401


def test_a_jwt_is_held_to_its_key_as_well(by_keys: Verifier, mint: Mint, prover: Prover) -> None:
    by_keys.dpop = DPoP(BASE, replays=MemoryReplays(clock=lambda: time.time() - 1000))
    token = mint(cnf={"jkt": prover.jkt})
    evidence = Evidence("GET", "/things/one", prover.proof("GET", URL, token))
    assert by_keys.verify(f"DPoP {token}", evidence).cnf == {"jkt": prover.jkt}
    with pytest.raises(InvalidProofError):
        by_keys.verify(f"DPoP {token}", evidence)
    with pytest.raises(InvalidTokenError):
        by_keys.verify(f"Bearer {token}", evidence)
    with pytest.raises(InvalidTokenError):
        by_keys.check(token)


# 9: nonces.


def test_a_proof_needs_the_nonce_where_nonces_are_demanded(clients: Any, prover: Prover) -> None:
    client = clients(nonces=Nonces(b"k" * 32))
    proof = prover.proof("GET", URL, TOKEN)
    answer = _get(client, proof)
    _refused(answer, "use_dpop_nonce")
    nonce = answer.headers["DPoP-Nonce"]
    # The proof without a nonce was not used up by being refused.
    _refused(_get(client, proof), "use_dpop_nonce")
    answer = _get(client, prover.proof("GET", URL, TOKEN, nonce=nonce))
    assert answer.status_code == 200
    assert answer.headers.get_all("DPoP-Nonce") == [nonce]
    assert answer.headers["Cache-Control"] == "no-store"


def test_an_old_nonce_and_that_of_another_server_are_answered_with_a_new_one(
    clients: Any, prover: Prover, clock: Clock
) -> None:
    clock.now = time.time()
    mine, other = Nonces(b"k" * 32), Nonces(b"o" * 32)
    client = clients(nonces=mine)
    for nonce in (mine.current(clock.now - 2 * NONCE_SECONDS - 1), other.current(clock.now), "guessed"):
        answer = _get(client, prover.proof("GET", URL, TOKEN, nonce=nonce))
        _refused(answer, "use_dpop_nonce")
        assert mine.accepts(answer.headers["DPoP-Nonce"], time.time())


def test_without_nonces_none_is_given_out_and_one_that_comes_does_not_count(
    client: FlaskClient, prover: Prover
) -> None:
    answer = _get(client, prover.proof("GET", URL, TOKEN, nonce="from somewhere"))
    assert answer.status_code == 200
    assert "DPoP-Nonce" not in answer.headers


def test_a_bearer_token_is_told_no_nonce(clients: Any) -> None:
    answer = _get(clients(nonces=Nonces(b"k" * 32)), None, "free", "Bearer")
    assert answer.status_code == 200
    assert "DPoP-Nonce" not in answer.headers


# How it is set up.


@pytest.mark.parametrize(
    ("base_url", "how"),
    [
        ("http://api.example", {}),
        ("https://api.example/", {}),
        ("https://api.example?a", {}),
        ("https://user@api.example", {}),
        ("api.example", {}),
        (BASE, {"algorithms": []}),
        (BASE, {"algorithms": ["none"]}),
        (BASE, {"algorithms": ["HS256"]}),
    ],
)
def test_what_cannot_work_is_refused_at_once(base_url: str, how: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        DPoP(base_url, **how)


@pytest.fixture
def server(issuer: StubIssuer, tmp_path: Path, prover: Prover) -> Iterator[Any]:
    """A function that starts the separate server, with more settings; each start is another process of it."""
    usual = {
        "RESOURCESERVER_PUBLIC_URL": f"{BASE}/v1",
        "RESOURCESERVER_ISSUER": issuer.url,
        "RESOURCESERVER_DATABASE_URL": f"sqlite:///{tmp_path / 'notes.db'}",
        "RESOURCESERVER_CLIENT_SECRET": "notes-secret",
    }
    issuer.answers[TOKEN] = issuer.active(f"{BASE}/v1/notes", scope="notes:read", cnf={"jkt": prover.jkt})
    return lambda **more: create_app(load_settings(usual | more)).test_client()


def test_the_separate_server_takes_a_proof_once_over_all_its_processes(server: Any, prover: Prover) -> None:
    first, second = server(), server()
    for one, other in ((first, second), (second, first)):
        proof = prover.proof("GET", f"{BASE}/v1/notes", TOKEN)
        assert _get(one, proof, path="/v1/notes").status_code == 200
        for again in (one, other, server()):
            assert _get(again, proof, path="/v1/notes").json["error"] == "invalid_dpop_proof"


def test_the_nonce_of_one_process_of_the_separate_server_is_good_at_the_other(server: Any, prover: Prover) -> None:
    nodes = [server(RESOURCESERVER_DPOP_NONCES="true") for _ in range(2)]
    nonce = _get(nodes[0], prover.proof("GET", f"{BASE}/v1/notes", TOKEN), path="/v1/notes").headers["DPoP-Nonce"]
    proof = prover.proof("GET", f"{BASE}/v1/notes", TOKEN, nonce=nonce)
    assert _get(nodes[1], proof, path="/v1/notes").status_code == 200


def test_the_separate_servers_metadata_says_what_it_takes(server: Any) -> None:
    # RFC 9728 2
    path = "/.well-known/oauth-protected-resource/v1/notes"
    for required in ("false", "true"):
        document = json.loads(server(RESOURCESERVER_DPOP_REQUIRED=required).get(path).data)
        assert document["dpop_signing_alg_values_supported"] == list(ALGORITHMS)
        assert document.get("dpop_bound_access_tokens_required", False) is (required == "true")
