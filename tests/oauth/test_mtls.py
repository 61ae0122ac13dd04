"""Certificate-bound access tokens, metadata and public clients (RFC 8705 3 to 5); with ``test_mtls_client_auth``."""

from pathlib import Path

import jwt

from authserver.manage import clients
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.assertions import KEY, claims, jwk, keyed_client, signed
from tests.certificates import Certificate, issue, key
from tests.mtls import (
    CA,
    HEADER,
    ITSELF,
    LEAF,
    MTLS,
    OTHER,
    SELF,
    SUBJECT,
    anna,
    ask,
    assert_unknown,
    bare,
    by_key_set,
    by_subject,
    confirmation,
    make,
    name_of,
    pki,
    redeem,
    refresh,
    secret,
    send,
    server,
    settings,
)
from tests.proofs import Prover
from tests.world import JWT_API, assert_refused

__all__ = ["anna", "bare", "pki", "secret", "server"]


# 3: certificate-bound access tokens.


def test_the_tokens_of_every_grant_are_bound_3_1(
    server: AuthServer, secret: RegisteredClient, pki: RegisteredClient, anna: User
):
    expected = {"x5t#S256": LEAF.x5t}
    for client in (secret, pki):
        first = redeem(server, client, anna, LEAF).json()
        second = refresh(server, client, first["refresh_token"], LEAF).json()
        own = send(server, "/token", LEAF, client.basic if client.client_secret else None, **ITSELF, **name_of(client))
        for answer in (first, second, own.json()):
            assert answer["token_type"] == "Bearer"
            said = send(
                server,
                "/introspect",
                LEAF,
                client.basic if client.client_secret else None,
                token=answer["access_token"],
                **name_of(client),
            )
            assert said.json()["cnf"] == expected


def test_a_jwt_says_what_it_is_bound_to_3_1(server: AuthServer, anna: User):
    client = server.client(tls_client_certificate_bound_access_tokens=True, trusted=True, scope="openid jwt:read")
    answer = redeem(server, client, anna, LEAF, resource=JWT_API, scope="openid jwt:read").json()
    assert jwt.decode(answer["access_token"], options={"verify_signature": False})["cnf"] == {"x5t#S256": LEAF.x5t}


def test_tokens_of_other_clients_are_not_bound_3_4(server: AuthServer):
    client = server.client()
    answer = send(server, "/token", LEAF, client.basic, **ITSELF).json()
    assert "cnf" not in send(server, "/introspect", LEAF, client.basic, token=answer["access_token"]).json()
    known = by_key_set(server, jwk(SELF.key))
    assert confirmation(server, known, ask(server, known, SELF).json()["access_token"], SELF) is None


def test_a_bound_client_without_a_certificate_gets_no_token_3_4(
    server: AuthServer, secret: RegisteredClient, bare: RegisteredClient, anna: User
):
    assert_refused(send(server, "/token", None, secret.basic, **ITSELF), "invalid_request")
    allowed = server.allow(secret, anna)
    assert_refused(server.redeem(secret, allowed), "invalid_request")
    # Nothing was spent.
    sent = {"grant_type": "authorization_code", "code": allowed.code, "redirect_uri": allowed.redirect_uri}
    sent |= {"code_verifier": allowed.pkce.verifier if allowed.pkce else ""}
    first = send(server, "/token", LEAF, secret.basic, **sent)
    assert first.status_code == 200
    assert_refused(refresh(server, secret, first.json()["refresh_token"], None), "invalid_request")
    assert refresh(server, secret, first.json()["refresh_token"], LEAF).status_code == 200
    assert_refused(redeem(server, bare, anna, None), "invalid_request")


def test_userinfo_holds_a_token_to_its_certificate_3(server: AuthServer, secret: RegisteredClient, anna: User):
    token = redeem(server, secret, anna, LEAF).json()["access_token"]
    free = server.tokens(server.client(trusted=True), anna)["access_token"]

    def status(bearer: str, certificate: Certificate | None) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {bearer}", **({HEADER: certificate.escaped} if certificate else {})}
        with server.http(headers=headers) as http:
            answers = [http.get("/userinfo"), http.post("/userinfo")]
        assert answers[0].status_code == answers[1].status_code
        return answers[0].status_code, answers[0].headers.get("www-authenticate", "")

    assert status(token, LEAF)[0] == 200
    for certificate in (None, OTHER, SELF, issue(SUBJECT, key(2), CA)):
        code, challenge = status(token, certificate)
        assert code == 401
        assert challenge.startswith("Bearer ")
        assert 'error="invalid_token"' in challenge
    for certificate in (None, LEAF, OTHER):
        assert status(free, certificate)[0] == 200


# 3.3, 5: metadata.


def test_the_metadata_announces_bound_tokens_methods_and_aliases(server: AuthServer):
    for path in ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"):
        document = server.get(path).json()
        assert document["tls_client_certificate_bound_access_tokens"] is True
        for endpoint in ("token", "introspection", "revocation"):
            methods = document[f"{endpoint}_endpoint_auth_methods_supported"]
            assert {"tls_client_auth", "self_signed_tls_client_auth"} <= set(methods)
        aliases = document["mtls_endpoint_aliases"]
        assert aliases["token_endpoint"] == f"{MTLS}/token"
        assert {f"{name}_endpoint" for name in ("token", "introspection", "revocation", "userinfo")} <= aliases.keys()
        assert aliases["pushed_authorization_request_endpoint"] == f"{MTLS}/par"
        # Each is another way to an endpoint that is announced, and nothing for a browser is among them.
        assert aliases == {name: document[name].replace(server.issuer, MTLS) for name in aliases}
        assert "authorization_endpoint" not in aliases


def test_aliases_keep_the_path_of_the_issuer_and_need_a_base_url(tmp_path: Path):
    made = make(tmp_path, issuer="http://localhost:9000/tenant", mtls={"base_url": "https://mtls.test:8443/tenant"})
    aliases = made.get("/.well-known/openid-configuration").json()["mtls_endpoint_aliases"]
    assert aliases["token_endpoint"] == "https://mtls.test:8443/tenant/token"
    made.close()
    other = tmp_path / "other"
    other.mkdir()
    made = make(other, mtls={"base_url": None})
    assert "mtls_endpoint_aliases" not in made.get("/.well-known/openid-configuration").json()
    made.close()


def test_an_assertion_may_be_meant_for_the_alias_of_the_endpoint_asked_5(server: AuthServer):
    keyed = keyed_client(server)
    for audience, good in (
        (f"{MTLS}/token", True),
        (f"{MTLS}/par", False),
        (MTLS, False),
        ("https://evil.test", False),
    ):
        answer = send(server, "/token", LEAF, **signed(claims(server, keyed, aud=audience), KEY), **ITSELF)
        assert (answer.status_code == 200) is good, audience


def test_a_proof_may_be_made_for_the_alias_of_the_endpoint_asked_5(server: AuthServer, secret: RegisteredClient):
    prover, path = Prover(), "/token"
    for url, good in ((f"{MTLS}{path}", True), (f"{server.issuer}{path}", True), (f"{MTLS}/par", False)):
        headers = {HEADER: LEAF.escaped, "DPoP": prover.proof("POST", url)}
        with server.http(headers=headers, auth=secret.basic) as http:
            answer = http.post(path, data=ITSELF)
        assert (answer.status_code == 200) is good, answer.text
        if good:
            said = send(server, "/introspect", LEAF, secret.basic, token=answer.json()["access_token"]).json()
            assert said["cnf"] == {"x5t#S256": LEAF.x5t, "jkt": prover.jkt}


# 4: public clients.


def test_the_refresh_token_of_a_public_client_is_held_to_its_certificate_7_1(
    server: AuthServer, bare: RegisteredClient, anna: User
):
    first = redeem(server, bare, anna, LEAF).json()
    for certificate in (OTHER, SELF, issue(SUBJECT, key(2), CA)):
        assert_refused(refresh(server, bare, first["refresh_token"], certificate), "invalid_grant")
    assert_refused(refresh(server, bare, first["refresh_token"], None), "invalid_request")
    # All of that was inert.
    second = refresh(server, bare, first["refresh_token"], LEAF)
    assert second.status_code == 200, second.text
    assert refresh(server, bare, second.json()["refresh_token"], LEAF).status_code == 200


def test_a_bound_refresh_token_stays_bound_when_the_registration_no_longer_says_so(server: AuthServer, anna: User):
    client = server.public_client(tls_client_certificate_bound_access_tokens=True, trusted=True)
    first = redeem(server, client, anna, LEAF).json()
    kept = {name: client.registration[name] for name in ("redirect_uris", "grant_types", "scope")}
    changed = {**kept, "token_endpoint_auth_method": "none", "trusted": True}
    members = server.server.registry.CLIENT_METADATA
    clients.update(server.store, server.sealer, client.client_id, changed, actor="test", members=members)
    server.server.forget()
    for certificate in (None, OTHER):
        assert_refused(refresh(server, client, first["refresh_token"], certificate), "invalid_grant")
    second = refresh(server, client, first["refresh_token"], LEAF).json()
    with server.http(headers={"Authorization": f"Bearer {second['access_token']}"}) as http:
        assert http.get("/userinfo").status_code == 401
        assert http.get("/userinfo", headers={HEADER: LEAF.escaped}).status_code == 200


# FAPI 2.0: the profile takes a certificate for both.


def test_a_client_of_fapi_2_may_use_a_certificate_for_everything(server: AuthServer, anna: User):
    client = by_subject(
        server,
        profile="fapi2",
        tls_client_auth_subject_dn=SUBJECT,
        tls_client_certificate_bound_access_tokens=True,
    )
    pkce = server.pkce()
    request = server.request(client, pkce)
    pushed = send(server, "/par", LEAF, **request)
    assert pushed.status_code == 201, pushed.text
    opened = {"client_id": client.client_id, "request_uri": pushed.json()["request_uri"]}
    page = server.browser(anna).visit_request(opened)
    sent = {"grant_type": "authorization_code", "code": page.callback["code"], "code_verifier": pkce.verifier}
    sent |= {"redirect_uri": client.redirect_uri, "client_id": client.client_id}
    answer = send(server, "/token", LEAF, **sent).json()
    assert confirmation(server, client, answer["access_token"], LEAF) == {"x5t#S256": LEAF.x5t}


# Switched off.


def test_switched_off_nothing_of_it_is_left(tmp_path: Path):
    on = make(tmp_path)
    user = on.user("carl")
    known = [
        by_subject(on, tls_client_auth_subject_dn=SUBJECT),
        by_key_set(on, jwk(LEAF.key)),
    ]
    bound, plain = on.client(tls_client_certificate_bound_access_tokens=True, trusted=True), on.client(trusted=True)
    token = redeem(on, bound, user, LEAF).json()
    off = AuthServer(tmp_path, **settings(tmp_path, features={"mtls": False}))
    document = off.get("/.well-known/openid-configuration").json()
    assert "tls_client_certificate_bound_access_tokens" not in document
    assert "mtls_endpoint_aliases" not in document
    assert not any("tls_client_auth" in str(value) for value in document.values())
    for client in known:
        assert_unknown(off, client, LEAF)
    # A bound client gets nothing weaker, and a bound token opens nothing.
    assert_refused(send(off, "/token", LEAF, bound.basic, **ITSELF), "invalid_request")
    assert_refused(refresh(off, bound, token["refresh_token"], LEAF), "invalid_request")
    with off.http(headers={"Authorization": f"Bearer {token['access_token']}", HEADER: LEAF.escaped}) as http:
        assert http.get("/userinfo").status_code == 401
    # The header is not even looked at.
    assert send(off, "/token", "rubbish", plain.basic, **ITSELF).status_code == 200
    off.close()
    on.close()


def test_without_a_source_of_certificates_it_is_off(authserver: AuthServer, client: RegisteredClient):
    assert (
        "tls_client_certificate_bound_access_tokens" not in authserver.get("/.well-known/openid-configuration").json()
    )
    bound = authserver.client(tls_client_certificate_bound_access_tokens=True)
    assert_refused(send(authserver, "/token", LEAF, bound.basic, **ITSELF), "invalid_request")
    assert_unknown(authserver, by_subject(authserver, tls_client_auth_subject_dn=SUBJECT), LEAF)
