"""OAuth 2.0 Device Authorization Grant (RFC 8628): the request, what an allowed device gets, registration.

Polling and user codes have files beside this one; the pages: ``tests/web/test_device.py``; races of processes:
``tests/flows/test_device_races.py``.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from authserver.identity import accounts
from authserver.oauth import device
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from pytest_authserver.server import ONE_ADDRESS
from tests.devices import GRANT_TYPE, begin, decide, device_client, poll, request, tokens
from tests.signing import claims_of
from tests.world import API, JWT_API, assert_refused, is_alive

USER_CODE = re.compile(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}")


# 3.1: the request.


def test_a_device_gets_its_codes_3_2(authserver: AuthServer, screen: RegisteredClient):
    answer = request(authserver, screen, scope="openid")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    codes = answer.json()
    assert codes.keys() == {
        "device_code",
        "user_code",
        "verification_uri",
        "verification_uri_complete",
        "expires_in",
        "interval",
    }
    assert USER_CODE.fullmatch(codes["user_code"])
    assert codes["verification_uri"] == f"{authserver.issuer}/device"
    assert codes["verification_uri_complete"] == f"{authserver.issuer}/device?user_code={codes['user_code']}"
    assert (codes["expires_in"], codes["interval"]) == (600, 5)


def test_every_request_has_codes_of_its_own(authserver: AuthServer, screen: RegisteredClient):
    asked = [begin(authserver, screen) for _ in range(5)]
    assert len({codes["device_code"] for codes in asked}) == len({codes["user_code"] for codes in asked}) == 5


def test_a_user_code_that_another_device_shows_is_drawn_again(own: AuthServer, monkeypatch: pytest.MonkeyPatch):
    screen = device_client(own)
    letters = iter("BBBBBBBB" + "BBBBBBBB" + "CCCCCCCC")
    monkeypatch.setattr(device.secrets, "choice", lambda _letters: next(letters))
    assert [begin(own, screen)["user_code"] for _ in range(2)] == ["BBBB-BBBB", "CCCC-CCCC"]


def test_neither_code_is_stored_as_it_is(own: AuthServer, tmp_path: Path):
    codes = begin(own, device_client(own))
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("authserver.db*"))
    letters = codes["user_code"].replace("-", "")
    assert b"device.user-code" in stored
    assert [text for text in (codes["device_code"], codes["user_code"], letters) if text.encode() in stored] == []


def test_a_confidential_client_proves_itself_3_1(
    authserver: AuthServer, box: RegisteredClient, screen: RegisteredClient
):
    assert begin(authserver, box)
    wrong = RegisteredClient(box.client_id, "x" * 43, "", {})
    assert_refused(request(authserver, wrong), "invalid_client", 401)
    assert_refused(request(authserver, None, client_id=box.client_id), "invalid_client", 401)
    assert_refused(request(authserver, None), "invalid_client", 401)
    assert_refused(request(authserver, box, client_id=screen.client_id), "invalid_client", 401)


@pytest.mark.parametrize(
    "metadata",
    [
        {"grant_types": ["authorization_code", "refresh_token"]},
        {"grant_types": ["authorization_code", GRANT_TYPE], "require_pushed_authorization_requests": True},
    ],
)
def test_a_client_that_may_not_ask_like_this_is_refused(authserver: AuthServer, metadata: dict[str, Any]):
    client = authserver.client(**metadata)
    assert_refused(request(authserver, client), "unauthorized_client")
    if GRANT_TYPE not in metadata["grant_types"]:
        assert_refused(poll(authserver, client, {"device_code": "x"}), "unauthorized_client")


def test_where_all_requests_have_to_be_pushed_no_device_asks(tmp_path: Path):
    server = AuthServer(tmp_path, require_pushed_authorization_requests=True)
    assert_refused(request(server, device_client(server)), "unauthorized_client")
    server.close()


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"scope": "other:read"}, "invalid_scope"),
        ({"scope": 'a"b'}, "invalid_scope"),
        ({"scope": "unheard:of"}, "invalid_scope"),
        ({"scope": ["openid", "profile"]}, "invalid_request"),
        ({"resource": "https://unknown.test/"}, "invalid_target"),
        ({"resource": "not a uri"}, "invalid_target"),
    ],
)
def test_a_request_that_is_not_good_is_refused_3_1(authserver: AuthServer, parameters: dict[str, Any], error: str):
    client = device_client(authserver, scope="openid api:read")
    assert_refused(request(authserver, client, **parameters), error)


def test_parameters_in_the_url_are_refused(authserver: AuthServer, screen: RegisteredClient):
    answer = authserver.http().post(f"/device_authorization?client_id={screen.client_id}")
    assert_refused(answer, "invalid_request")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_other_methods_are_refused(authserver: AuthServer, method: str):
    answer = authserver.http().request(method, "/device_authorization")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST, OPTIONS")


def test_what_is_unknown_or_empty_counts_as_omitted_3_1(authserver: AuthServer, screen: RegisteredClient):
    assert begin(authserver, screen, scope="", color="blue")


def test_too_many_requests_of_a_client_are_put_off(tmp_path: Path):
    server = AuthServer(tmp_path, limits={**ONE_ADDRESS, "device_requests": 3})
    first, second = device_client(server), device_client(server)
    for _ in range(3):
        begin(server, first)
    answer = request(server, first)
    assert_refused(answer, "invalid_request", 429)
    assert int(answer.headers["retry-after"]) > 0
    assert begin(server, second)
    with server.later(61):
        assert begin(server, first)
    server.close()


def test_a_script_of_a_registered_origin_may_ask(authserver: AuthServer):
    client = device_client(authserver, web_origins=["https://kiosk.test"])
    with authserver.later(10):
        answer = request(authserver, client, headers={"Origin": "https://kiosk.test"})
    assert answer.headers["access-control-allow-origin"] == "https://kiosk.test"


# 3.3, 3.5: a person allows, the device gets tokens.


def test_an_allowed_device_gets_tokens_3_5(authserver: AuthServer, screen: RegisteredClient, alice: User):
    codes = begin(authserver, screen, scope="openid profile api:read")
    assert_refused(poll(authserver, screen, codes), "authorization_pending")
    assert 'id="device-allowed"' in decide(authserver, alice, codes).text
    answer = poll(authserver, screen, codes)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    issued = answer.json()
    assert issued.keys() == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert issued["scope"] == "openid profile api:read"
    assert authserver.get("/userinfo", issued["access_token"]).json()["sub"] == alice.sub
    claims = claims_of(issued["id_token"])
    assert (claims["sub"], claims["aud"]) == (alice.sub, screen.client_id)
    assert claims["auth_time"] <= claims["iat"]
    assert "nonce" not in claims


def test_the_refresh_token_works_as_any_other(authserver: AuthServer, screen: RegisteredClient, alice: User):
    issued = tokens(authserver, screen, alice, scope="openid api:read")
    answer = authserver.refresh(screen, issued["refresh_token"])
    assert answer.status_code == 200
    assert answer.json()["refresh_token"] != issued["refresh_token"]


def test_only_a_client_registered_for_it_gets_a_refresh_token(authserver: AuthServer, alice: User):
    client = device_client(authserver, grant_types=[GRANT_TYPE])
    assert "refresh_token" not in tokens(authserver, client, alice)


def test_the_token_is_for_the_resource_that_was_asked_for(authserver: AuthServer, box: RegisteredClient, alice: User):
    issued = tokens(authserver, box, alice, scope="api:read jwt:read", resource=[API])
    assert (issued["scope"], authserver.introspect(box, issued["access_token"])["aud"]) == ("api:read", API)
    signed = tokens(authserver, box, alice, scope="jwt:read", resource=JWT_API)
    assert claims_of(signed["access_token"])["aud"] == JWT_API


def test_offline_access_outlives_the_session_and_nothing_else_does(
    authserver: AuthServer, box: RegisteredClient, alice: User
):
    browser = authserver.browser(alice)
    lasting, passing = begin(authserver, box, scope="openid offline_access"), begin(authserver, box, scope="openid")
    for codes in (lasting, passing):
        decide(authserver, browser, codes)
    kept, gone = (poll(authserver, box, codes).json() for codes in (lasting, passing))
    assert (kept["scope"], gone["scope"]) == ("openid offline_access", "openid")
    browser.submit(browser.visit("/logout"), "logout-confirm")
    assert is_alive(authserver, box, kept["access_token"])
    assert not is_alive(authserver, box, gone["access_token"])
    assert authserver.refresh(box, kept["refresh_token"]).status_code == 200
    assert_refused(authserver.refresh(box, gone["refresh_token"]), "invalid_grant")


def test_what_was_allowed_is_in_the_account_and_can_be_taken_back(
    authserver: AuthServer, box: RegisteredClient, alice: User
):
    issued = tokens(authserver, box, alice, scope="openid offline_access")
    assert box.client_id in authserver.browser(alice).visit("/account/apps").text
    assert accounts.withdraw(authserver.server, alice.sub, box.client_id)
    assert not is_alive(authserver, box, issued["access_token"])


# 4: metadata; registration; switching off.


def test_the_metadata_names_endpoint_and_grant_type_4(authserver: AuthServer):
    for path in ("oauth-authorization-server", "openid-configuration"):
        document = authserver.get(f"/.well-known/{path}").json()
        assert document["device_authorization_endpoint"] == f"{authserver.issuer}/device_authorization"
        assert GRANT_TYPE in document["grant_types_supported"]


def test_a_client_may_be_registered_for_devices_alone(authserver: AuthServer):
    answer = device_client(authserver, scope=None).registration
    assert (answer["response_types"], answer["grant_types"]) == ([], [GRANT_TYPE, "refresh_token"])
    assert answer["scope"] == "openid profile email address phone offline_access"


def test_switched_off_there_is_nothing_of_it(tmp_path: Path):
    server = AuthServer(tmp_path, features={"device": False})
    client = device_client(server)
    assert request(server, client).status_code == 404
    assert_refused(poll(server, client, {"device_code": "x"}), "unsupported_grant_type")
    assert "device_authorization_endpoint" not in server.get("/.well-known/oauth-authorization-server").json()
    for path in ("/device", "/device?user_code=WDJB-MJHT", "/device/confirm", "/device/done"):
        assert server.get(path).status_code == 404
    server.close()


def test_the_decision_is_in_the_audit_trail(own: AuthServer):
    user, screen = own.user("alice"), device_client(own)
    for button in ("device-allow", "device-deny"):
        decide(own, user, begin(own, screen), button)
    for name in ("device.allowed", "device.denied"):
        (line,) = own.store.audit.list(0, 10, name=name)
        assert (line.event.sub, line.event.client_id) == (user.sub, screen.client_id)
        assert line.event.facts["from"] == "127.0.0.1"
