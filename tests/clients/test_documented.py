"""The worked examples of docs/, run against the server as they stand there."""

import io
import json
import tomllib
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest
import segno

from authserver.crypto import Kind
from authserver.manage import registration_tokens
from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.live import serving
from pytest_authserver.server import PASSWORD
from tests import documented
from tests.devices import device_client
from tests.listener import KEYS, says, silent, tls

CALLBACK = "https://client.example/callback"


@pytest.fixture
def environment(live_authserver: AuthServer) -> dict[str, str]:
    """What the examples find in their environment."""
    live_authserver.user("alice")
    client = live_authserver.client(redirect_uris=[CALLBACK])
    return {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": client.client_id,
        "CLIENT_SECRET": client.client_secret,
        "CHALLENGE": live_authserver.pkce().challenge,
    }


def _sent_back(at: AuthServer, query: dict[str, str]) -> dict[str, str]:
    page = at.browser().authorize(query, username="alice", password=PASSWORD)
    assert page.location is not None, page.error_code
    assert page.location.startswith(CALLBACK)
    return page.callback


def test_pushing_a_request_with_curl(live_authserver: AuthServer, environment: dict[str, str]):
    answer = json.loads(documented.run_shell(documented.blocks("pushed-requests.md", "sh")[0], **environment))
    assert answer["expires_in"] == 60
    query = {"client_id": environment["CLIENT_ID"], "request_uri": answer["request_uri"]}
    assert "code" in _sent_back(live_authserver, query)


def test_following_revocations_with_python(live_authserver: AuthServer):
    api = "https://api.example.com/invoices"
    live_authserver.resource(api, "invoices:read", token_format="jwt", status_list=True)
    caller = live_authserver.client(scope="invoices:read", resources=[api])
    account = live_authserver.client(grant_types=[], redirect_uris=None, scope=None, resource_server_for=[api])
    token = live_authserver.token(caller, grant_type="client_credentials", resource=api).json()["access_token"]
    environment = {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": account.client_id,
        "CLIENT_SECRET": account.client_secret,
        "TOKEN": token,
        "PYTHONPATH": str(documented.DOCS.parent),
    }
    example = next(block for block in documented.blocks("resource-server.md", "python") if "Revocations(" in block)
    with documented.running_python(example, **environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"good for {caller.client_id}\n"
        assert live_authserver.post("/revoke", client=caller, token=token).status_code == 200
        assert process.stdout.readline() == "revoked\n"
        assert process.wait(20) == 0


def test_pushing_a_request_with_python(live_authserver: AuthServer, environment: dict[str, str]):
    address = documented.run_python(documented.blocks("pushed-requests.md", "python")[0], **environment)
    assert address.startswith(f"{live_authserver.issuer}/authorize?")
    assert "code" in _sent_back(live_authserver, dict(parse_qsl(urlsplit(address).query)))


def test_asking_for_a_payment(tmp_path: Path):
    page = "rich-authorization-requests.md"
    types = tomllib.loads(documented.blocks(page, "toml")[0])
    registration, shown = [json.loads(block) for block in documented.blocks(page, "json")]
    with serving(tmp_path, **types) as at:
        at.user("alice")
        at.resource("https://bank.example/")
        client, pkce = at.client(**registration), at.pkce()
        environment = {
            "ISSUER": at.issuer,
            "CLIENT_ID": client.client_id,
            "CLIENT_SECRET": client.client_secret,
            "CHALLENGE": pkce.challenge,
            "VERIFIER": pkce.verifier,
        }
        address = documented.run_python(documented.blocks(page, "python")[0], **environment)
        assert "code" in _sent_back(at, dict(parse_qsl(urlsplit(address).query)))
        push, redeem = documented.blocks(page, "sh")
        pushed = json.loads(documented.run_shell(push, **environment))
        query = {"client_id": client.client_id, "request_uri": pushed["request_uri"]}
        environment["CODE"] = _sent_back(at, query)["code"]
        answer = json.loads(documented.run_shell(redeem, **environment))
        secrets = {"access_token": "", "refresh_token": ""}
        assert answer | secrets == shown | secrets
        told = at.introspect(client, answer["access_token"])
        assert told["authorization_details"] == shown["authorization_details"]
        assert told["aud"] == "https://bank.example/"


def test_signing_a_request(live_authserver: AuthServer, environment: dict[str, str], tmp_path: Path):
    page = "request-objects.md"
    make_key, sign, encrypt = documented.blocks(page, "python")
    environment["KEY_FILE"] = str(tmp_path / "key.json")
    keys = json.loads(documented.run_python(make_key, **environment))
    client = live_authserver.client(redirect_uris=[CALLBACK], jwks=keys)
    environment |= {"CLIENT_ID": client.client_id, "CLIENT_SECRET": client.client_secret}
    environment["REQUEST"] = documented.run_python(sign, **environment)
    encrypted = documented.run_python(encrypt, **environment)
    for request in (environment["REQUEST"], encrypted):
        assert "code" in _sent_back(live_authserver, {"client_id": client.client_id, "request": request})
    answer = json.loads(documented.run_shell(documented.blocks(page, "sh")[0], **environment))
    query = {"client_id": client.client_id, "request_uri": answer["request_uri"]}
    assert "code" in _sent_back(live_authserver, query)


def test_reading_a_signed_response(live_authserver: AuthServer, environment: dict[str, str]):
    environment["STATE"] = "af0ifjsldkj"
    pushed = json.loads(documented.run_shell(documented.blocks("signed-responses.md", "sh")[0], **environment))
    query = {"client_id": environment["CLIENT_ID"], "request_uri": pushed["request_uri"]}
    environment["RESPONSE"] = _sent_back(live_authserver, query)["response"]
    code = documented.run_python(documented.blocks("signed-responses.md", "python")[0], **environment)
    assert code.startswith(Kind.CODE.prefix)


def test_asking_for_a_signed_introspection_answer(live_authserver: AuthServer):
    live_authserver.resource("https://api.example/", "api:read")
    client = live_authserver.client(scope="api:read")
    asked = {"grant_type": "client_credentials", "scope": "api:read", "resource": "https://api.example/"}
    guard = live_authserver.client(resource_server_for=["https://api.example/"], grant_types=[], redirect_uris=None)
    environment = {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": guard.client_id,
        "CLIENT_SECRET": guard.client_secret,
        "TOKEN": live_authserver.token(client, **asked).json()["access_token"],
    }
    signed = documented.run_shell(documented.blocks("signed-responses.md", "sh")[1], **environment)
    assert jwt.get_unverified_header(signed)["typ"] == "token-introspection+jwt"
    scope = documented.run_python(documented.blocks("signed-responses.md", "python")[1], **environment)
    assert scope == "api:read"


def test_reading_signed_userinfo(live_authserver: AuthServer):
    user = live_authserver.user("alice", name="Alice Adams")
    client = live_authserver.client(userinfo_signed_response_alg="PS256")
    environment = {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": client.client_id,
        "SUB": user.sub,
        "TOKEN": live_authserver.tokens(client, user)["access_token"],
    }
    signed = documented.run_shell(documented.blocks("signed-responses.md", "sh")[2], **environment)
    assert jwt.get_unverified_header(signed)["alg"] == "PS256"
    name = documented.run_python(documented.blocks("signed-responses.md", "python")[2], **environment)
    assert name == "Alice Adams"


def test_connecting_a_device_with_curl(live_authserver: AuthServer, environment: dict[str, str]):
    begin, ask = documented.blocks("device.md", "sh")
    environment["CLIENT_ID"] = device_client(live_authserver).client_id
    codes = json.loads(documented.run_shell(begin, **environment))
    shown = json.loads(documented.blocks("device.md", "json")[0])
    assert codes.keys() == shown.keys()
    environment["DEVICE_CODE"] = codes["device_code"]
    assert json.loads(documented.run_shell(ask, **environment))["error"] == "authorization_pending"
    _allow_device(live_authserver, codes["verification_uri_complete"])
    assert json.loads(documented.run_shell(ask, **environment))["scope"] == "openid profile offline_access"


def test_connecting_a_device_with_python_and_a_qr_code(live_authserver: AuthServer, environment: dict[str, str]):
    environment["CLIENT_ID"] = device_client(live_authserver).client_id
    with documented.running_python(documented.blocks("device.md", "python")[0], **environment) as device:
        assert device.stdout is not None
        picture = ""
        for line in device.stdout:
            if line.startswith("Scan this"):
                break
            picture += line
        uri = f"{live_authserver.issuer}/device?user_code={line.split()[-1]}"
        same = io.StringIO()
        segno.make(uri, micro=False).terminal(same, compact=True)
        assert picture == same.getvalue()
        _allow_device(live_authserver, uri)
        assert device.stdout.read().startswith("connected")


def test_exchanging_a_token(live_authserver: AuthServer):
    for identifier in ("https://front.example/", "https://notes.example/"):
        live_authserver.resource(identifier, "notes:read")
    web = live_authserver.client(trusted=True, scope="openid notes:read")
    called = live_authserver.tokens(
        web, live_authserver.user("alice"), scope="notes:read", resource="https://front.example/"
    )
    registration, answered = (json.loads(block) for block in documented.blocks("token-exchange.md", "json"))
    front = live_authserver.client(redirect_uris=None, **registration)
    environment = {
        "ISSUER": live_authserver.issuer,
        "CLIENT_ID": front.client_id,
        "CLIENT_SECRET": front.client_secret,
        "TOKEN": called["access_token"],
    }
    answer = json.loads(documented.run_shell(documented.blocks("token-exchange.md", "sh")[0], **environment))
    assert {**answer, "access_token": ""} == {**answered, "access_token": ""}
    token = documented.run_python(documented.blocks("token-exchange.md", "python")[0], **environment)
    for issued in (answer["access_token"], token):
        assert live_authserver.introspect(front, issued)["act"] == {"sub": front.client_id}


def test_a_token_on_the_word_of_another_server(tmp_path: Path):
    for folder in ("idp", "chat"):
        (tmp_path / folder).mkdir()
    with serving(tmp_path / "idp") as idp:
        trusted = {"issuer": idp.issuer, "typ": "oauth-id-jag+jwt", "jwks_uri": f"{idp.issuer}/jwks"}
        trusted |= {"subject_claim": "email", "account": "email"}
        with serving(tmp_path / "chat", trusted_issuers=[trusted], outbound_allow=["127.0.0.1"]) as chat:
            _walk_across(idp, chat)


def _walk_across(idp: AuthServer, chat: AuthServer) -> None:
    chat.resource("https://chat.example/", "chat:read")
    person = {"email": "alice@example.test", "email_verified": True}
    alice = chat.user("alice-at-chat", **person)
    caller = chat.client(
        grant_types=["urn:ietf:params:oauth:grant-type:jwt-bearer"], redirect_uris=None, scope="chat:read"
    )
    (registration,) = [
        json.loads(block) for block in documented.blocks("jwt-bearer.md", "json") if "id_jag_audiences" in block
    ]
    (policy,) = registration["id_jag_audiences"].values()
    registration["id_jag_audiences"] = {chat.issuer: {**policy, "client_id": caller.client_id}}
    wiki = idp.client(trusted=True, **registration)
    environment = {
        "IDP": idp.issuer,
        "IDP_CLIENT_ID": wiki.client_id,
        "IDP_CLIENT_SECRET": wiki.client_secret,
        "ID_TOKEN": idp.tokens(wiki, idp.user("alice", **person), scope="openid")["id_token"],
        "ISSUER": chat.issuer,
        "CLIENT_ID": caller.client_id,
        "CLIENT_SECRET": caller.client_secret,
    }
    token = documented.run_python(documented.blocks("jwt-bearer.md", "python")[0], **environment)
    assert chat.introspect(caller, token)["sub"] == alice.sub
    asked = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "audience": chat.issuer}
    asked |= {"requested_token_type": "urn:ietf:params:oauth:token-type:id-jag"}
    asked |= {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"}
    environment["ASSERTION"] = idp.token(wiki, subject_token=environment["ID_TOKEN"], **asked).json()["access_token"]
    answer = json.loads(documented.run_shell(documented.blocks("jwt-bearer.md", "sh")[0], **environment))
    shown = json.loads(documented.blocks("jwt-bearer.md", "json")[0])
    assert {**answer, "access_token": ""} == {**shown, "access_token": ""}


def _allow_device(at: AuthServer, link: str) -> None:
    browser = at.browser()
    page = browser.log_in(browser.submit(browser.visit(link), "device-submit"), "alice", PASSWORD)
    assert 'id="device-allowed"' in browser.submit(page, "device-allow").text


def test_registering_a_client_and_managing_it(tmp_path: Path):
    page = "registration.md"
    with serving(tmp_path, registration={"mode": "token"}) as at:
        at.user("alice")
        environment = {"ISSUER": at.issuer, "FOLDER": str(tmp_path)}
        register, manage, _metadata = documented.blocks(page, "sh")
        environment["INITIAL_ACCESS_TOKEN"] = registration_tokens.make_initial(at.store, uses=2, days=1, actor="test")
        answer = json.loads(documented.run_shell(register, **environment))
        shown = json.loads(documented.blocks(page, "json")[0])
        assert answer.keys() >= shown.keys()
        client = RegisteredClient(answer["client_id"], answer["client_secret"], CALLBACK, answer)
        assert at.sign_in(client, scope=answer["scope"])["scope"].startswith("openid profile")
        address = documented.run_python(documented.blocks(page, "python")[0], **environment)
        assert "code" in _sent_back(at, dict(parse_qsl(urlsplit(address).query)))
        members = ("client_id", "registration_access_token", "registration_client_uri")
        documented.run_shell(manage, **environment, **{name.upper(): answer[name] for name in members})
        names = [json.loads((tmp_path / f"{when}.json").read_text())["client_name"] for when in ("before", "after")]
        assert names == ["Photo album", "Photo album and more"]
        assert at.store.clients.get(answer["client_id"]) is None


def test_a_client_with_a_metadata_document(tmp_path: Path):
    page = "registration.md"
    settings = {"outbound_allow": ("127.0.0.1",), "outbound_ca_file": KEYS / "authority.pem"}
    with tls("server.pem", silent) as album, serving(tmp_path, features={"client_id_metadata": True}, **settings) as at:
        at.user("alice")
        home = f"https://127.0.0.1:{album.port}"
        text = documented.blocks(page, "json")[1].replace("https://album.example", home)
        album.answer = says(text.encode(), "200 OK", "Content-Type: application/json")
        environment = {"ISSUER": at.issuer, "CLIENT_ID": f"{home}/client.json"}
        metadata = json.loads(documented.run_shell(documented.blocks(page, "sh")[2], **environment))
        assert metadata["client_id_metadata_document_supported"] is True
        address = documented.run_python(documented.blocks(page, "python")[1], **environment)
        sent_back = at.browser().authorize(
            dict(parse_qsl(urlsplit(address).query)), username="alice", password=PASSWORD
        )
        assert sent_back.location is not None
        assert sent_back.location.startswith("http://127.0.0.1:8400/callback?code=")


@pytest.mark.parametrize("language", ["sh", "python"])
def test_following_revocations_with_an_example(live_authserver: AuthServer, environment: dict[str, str], language: str):
    at = live_authserver
    follower = at.client(resource_server_for=["https://api.example/"])
    at.store.tokens.revoke_jti(f"told-{language}", 2**60)
    environment |= {"CLIENT_ID": follower.client_id, "CLIENT_SECRET": follower.client_secret}
    (example,) = documented.blocks("revocation-feed.md", language)
    run = documented.run_shell if language == "sh" else documented.run_python
    said = run(example, **environment).splitlines()
    if language == "sh":
        assert said[:4] == ["retry: 250", "", "id: 0.0", "event: reset"]
        assert any(line.startswith(f'data: {{"jti":"told-{language}"') for line in said)
        assert any(line.startswith(":") for line in said)
    else:
        assert said[0] == "0.0 reset {}"
        assert f"'jti': 'told-{language}'" in said[-2]
        assert said[-1] == "this was all"
