"""Registering and changing clients (RFC 7591, RFC 7592; OpenID Connect Registration)."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from authserver import crypto
from authserver.clock import SECOND, now
from authserver.crypto import Sealer
from authserver.manage import clients
from authserver.manage.errors import InvalidMetadata, ManageError
from authserver.records import Event
from authserver.settings import Settings
from authserver.store import Store, open_store
from tests.manage.conftest import FORMER_KEY, SECRET_KEY
from tests.manage.test_jwks import EC

CB = "https://client.example/cb"
Register = Callable[..., dict[str, Any]]


@pytest.fixture
def register(store: Store, sealer: Sealer) -> Register:
    def one(**metadata: Any) -> dict[str, Any]:
        options = {name: metadata.pop(name) for name in ("origin", "members") if name in metadata}
        given = {"redirect_uris": [CB], **metadata}
        return clients.register(store, sealer, given, actor="test", **options)

    return one


def refusal(register: Register, **metadata: Any) -> InvalidMetadata:
    with pytest.raises(InvalidMetadata) as caught:
        register(**metadata)
    return caught.value


# RFC 7591 2 and 3.2.1: defaults, and the answer


def test_the_response_states_everything_that_was_registered(register: Register, store: Store):
    before = now() // SECOND
    answer = register(client_name="Büro", client_uri="https://client.example/", contacts=["a@client.example"])
    assert answer["redirect_uris"] == [CB]
    assert answer["client_name"] == "Büro"
    assert answer["grant_types"] == ["authorization_code"]
    assert answer["response_types"] == ["code"]
    assert answer["token_endpoint_auth_method"] == "client_secret_basic"
    assert before <= answer["client_id_issued_at"] <= now() // SECOND
    assert answer["client_secret_expires_at"] == 0
    client = store.clients.get(answer["client_id"])
    assert client is not None
    assert client.client_name == "Büro"
    assert client.require_pkce is True


def test_a_secret_is_machine_made_and_kept_as_a_digest(register: Register, store: Store):
    answer = register()
    assert crypto.read_handle(crypto.Kind.SECRET, answer["client_secret"])
    client = store.clients.get(answer["client_id"])
    assert client is not None
    assert [known.digest for known in client.secrets] == [crypto.client_secret_digest(answer["client_secret"])]
    assert answer["client_secret"] not in repr(client)


def test_a_public_client_gets_no_secret_and_must_use_pkce(register: Register):
    answer = register(token_endpoint_auth_method="none", profile="oidc")
    assert "client_secret" not in answer
    assert answer["require_pkce"] is True
    assert refusal(register, token_endpoint_auth_method="none", require_pkce=False).member == "require_pkce"


def test_the_default_scope_is_the_personal_ones_where_people_sign_in(register: Register):
    assert register()["scope"] == "openid profile email address phone offline_access"
    machine = register(grant_types=["client_credentials"], redirect_uris=None)
    assert "scope" not in machine
    assert machine["response_types"] == []


def test_a_chosen_id_and_secret_are_taken_once(register: Register):
    answer = register(client_id="my-client", client_secret="s" * 32)
    assert (answer["client_id"], answer["client_secret"]) == ("my-client", "s" * 32)
    with pytest.raises(ManageError, match="registered already"):
        register(client_id="my-client")


@pytest.mark.parametrize("client_id", ["", " a", "a b", "é", "a" * 256, "a\n", 5, ["a"]], ids=repr)
def test_a_client_id_is_printable_ascii(register: Register, client_id: Any):
    assert refusal(register, client_id=client_id).member == "client_id"


@pytest.mark.parametrize("secret", ["short", "s" * 31, "é" * 40, "s" * 2000, 5], ids=repr)
def test_a_chosen_secret_is_long_and_printable(register: Register, secret: Any):
    assert refusal(register, client_secret=secret).member == "client_secret"


def test_a_secret_for_a_method_without_one_is_refused(register: Register):
    assert refusal(register, client_secret="s" * 40, token_endpoint_auth_method="none").member == "client_secret"


def test_two_registrations_of_one_id_at_once_leave_one_client(settings: Settings, sealer: Sealer):
    stores = [open_store(settings) for _ in range(4)]

    def attempt(store: Store) -> str:
        try:
            given = {"client_id": "same", "redirect_uris": [CB]}
            return str(clients.register(store, sealer, given, actor="test")["client_secret"])
        except ManageError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(attempt, stores))
    won = [answer for answer in answers if answer.startswith("ass_")]
    assert len(won) == 1
    client = stores[0].clients.get("same")
    assert client is not None
    assert client.secrets[0].digest == crypto.client_secret_digest(won[0])
    for store in stores:
        store.close()


# What is refused, and under which code (RFC 7591 3.2.2)


@pytest.mark.parametrize("uris", [[], None, "x", {}, [None], [["x"]], [f"{CB}/{n}" for n in range(51)], ["javascript:x"]])
def test_bad_redirect_uris_have_their_own_error_code(register: Register, uris: Any):
    error = refusal(register, redirect_uris=uris)
    assert (error.error, error.member) == ("invalid_redirect_uri", "redirect_uris")


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("token_endpoint_auth_method", "client_secret_magic"),
        ("token_endpoint_auth_method", 7),
        ("token_endpoint_auth_signing_alg", "none"),
        ("grant_types", ["password"]),
        ("grant_types", ["implicit"]),
        ("grant_types", "authorization_code"),
        ("grant_types", [["authorization_code"]]),
        ("grant_types", ["refresh_token"]),
        ("response_types", ["token"]),
        ("response_types", ["code id_token"]),
        ("client_name", ""),
        ("client_name", "a\u202eb"),
        ("client_name", "a\nb"),
        ("client_name", "x" * 513),
        ("client_name", 1),
        ("client_uri", "javascript:x"),
        ("logo_uri", "http://client.example/logo"),
        ("contacts", "me"),
        ("scope", "a  b"),
        ("scope", 'a"b'),
        ("scope", ["a"]),
        ("scope", "a" * 5000),
        ("jwks", {"keys": [{"kty": "oct", "k": "AAAA"}]}),
        ("jwks_uri", "http://client.example/jwks"),
        ("application_type", "desktop"),
        ("subject_type", "pairwise"),
        ("id_token_signed_response_alg", "none"),
        ("id_token_signed_response_alg", "HS256"),
        ("default_max_age", -1),
        ("default_max_age", True),
        ("require_auth_time", "yes"),
        ("initiate_login_uri", "http://client.example/start"),
        ("post_logout_redirect_uris", ["data:x"]),
        ("profile", "fapi9"),
        ("trusted", "true"),
        ("resources", ["no uri"]),
        ("resource_server_for", "https://api.example/"),
        ("web_origins", ["https://client.example/x"]),
        ("access_token_format", "xml"),
        ("require_pkce", 1),
        ("grace_seconds", 301),
        ("id_token_claims", 7),
    ],
)
def test_members_are_checked_one_by_one(register: Register, member: str, value: Any):
    error = refusal(register, **{member: value})
    assert error.error == "invalid_client_metadata"
    assert error.member == member
    assert error.description.isascii()


@pytest.mark.parametrize(
    ("metadata", "member"),
    [
        ({"grant_types": ["client_credentials"], "response_types": ["code"]}, "grant_types"),
        ({"grant_types": ["authorization_code"], "response_types": []}, "grant_types"),
        (
            {"grant_types": ["authorization_code", "client_credentials"], "token_endpoint_auth_method": "none"},
            "token_endpoint_auth_method",
        ),
        ({"jwks": {"keys": [EC]}, "jwks_uri": "https://client.example/jwks"}, "jwks"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"token_endpoint_auth_signing_alg": "ES256"}, "token_endpoint_auth_signing_alg"),
        (
            {"token_endpoint_auth_method": "client_secret_jwt", "token_endpoint_auth_signing_alg": "ES256"},
            "token_endpoint_auth_signing_alg",
        ),
        ({"token_endpoint_auth_method": "none", "resource_server_for": ["https://api.example/"]}, "resource_server_for"),
        ({"profile": "legacy", "token_endpoint_auth_method": "none"}, "token_endpoint_auth_method"),
        ({"profile": "legacy", "require_redirect_uri": False}, "require_redirect_uri"),
    ],
)
def test_members_that_contradict_each_other_are_refused(register: Register, metadata: dict[str, Any], member: str):
    assert refusal(register, **metadata).member == member


def test_an_administrator_is_told_of_unknown_members(register: Register):
    assert "redirect_urls" in refusal(register, redirect_urls=[CB]).description


def test_members_of_extensions_are_taken_and_checked(register: Register):
    def check(name: str, value: Any) -> Any:
        if value != "good":
            raise InvalidMetadata(name, "is bad")
        return value

    assert register(extension="good", members={"extension": check})["extension"] == "good"
    assert refusal(register, extension="bad", members={"extension": check}).member == "extension"


def test_names_for_people_may_carry_a_language(register: Register):
    assert register(**{"client_name#de": "Notizen"})["client_name#de"] == "Notizen"
    assert "unknown member" in refusal(register, **{"scope#de": "a"}).description


# Profiles


def test_a_profile_is_written_out_in_full(register: Register, store: Store):
    answer = register(profile="legacy")
    assert answer["profile"] == "legacy"
    assert (answer["require_pkce"], answer["require_redirect_uri"]) == (False, True)
    client = store.clients.get(answer["client_id"])
    assert client is not None
    assert (client.profile, client.require_pkce, client.require_redirect_uri) == ("legacy", False, True)


def test_a_profile_whose_extensions_are_missing_is_not_available(register: Register):
    assert refusal(register, profile="fapi2", jwks={"keys": [EC]}).member == "profile"


def test_the_fapi2_profile_asks_for_keys_and_pushed_requests(register: Register):
    members = {name: (lambda _name, value: value) for name in ("require_pushed_authorization_requests", "dpop_bound_access_tokens")}
    answer = register(profile="fapi2", jwks={"keys": [EC]}, members=members)
    assert answer["token_endpoint_auth_method"] == "private_key_jwt"
    assert answer["require_pushed_authorization_requests"] is True
    assert answer["dpop_bound_access_tokens"] is True
    assert answer["refresh_rotation"] is False
    assert "client_secret" not in answer
    weaker = {"profile": "fapi2", "jwks": {"keys": [EC]}, "members": members, "require_pkce": False}
    assert refusal(register, **weaker).member == "require_pkce"


# Registration by others than administrators (RFC 7591 5)


def test_self_registration_cannot_say_what_an_administrator_decides(register: Register, store: Store):
    answer = register(
        origin="registration",
        client_id="chosen",
        client_secret="s" * 40,
        trusted=True,
        profile="legacy",
        introspects_all=True,
        resource_server_for=["https://api.example/"],
        require_pkce=False,
        unknown=1,
    )
    assert answer["client_id"] != "chosen"
    assert answer["client_secret"] != "s" * 40
    assert not {"trusted", "introspects_all", "resource_server_for", "unknown"} & answer.keys()
    client = store.clients.get(answer["client_id"])
    assert client is not None
    assert (client.profile, client.origin, client.trusted, client.require_pkce) == ("oauth21", "registration", False, True)


def test_an_update_of_a_self_registered_client_keeps_what_the_administrator_said(
    register: Register, store: Store, sealer: Sealer
):
    client_id = register(origin="registration")["client_id"]
    known = store.clients.get(client_id)
    assert known is not None
    store.clients.update(replace(known, metadata={**known.metadata, "trusted": True}), Event("tested"))
    answer = clients.update(store, sealer, client_id, {"redirect_uris": [CB], "trusted": False}, actor="test")
    assert answer["trusted"] is True


# Secrets and changes


def test_rotation_keeps_the_old_secret_for_a_while(register: Register, store: Store, sealer: Sealer):
    first = register(client_id="c")["client_secret"]
    second = clients.rotate_secret(store, sealer, "c", actor="test", keep_seconds=60)["client_secret"]
    client = store.clients.get("c")
    assert client is not None
    assert [known.digest for known in client.secrets] == [crypto.client_secret_digest(text) for text in (second, first)]
    ends = client.secrets[1].expires_at
    assert client.secrets[0].expires_at is None
    assert ends is not None
    assert now() < ends <= now() + 60 * SECOND


def test_rotation_at_once_drops_every_other_secret(register: Register, store: Store, sealer: Sealer):
    register(client_id="c")
    clients.rotate_secret(store, sealer, "c", actor="test", keep_seconds=0)
    client = store.clients.get("c")
    assert client is not None
    assert len(client.secrets) == 1


def test_two_rotations_at_once_leave_no_half_state(settings: Settings, register: Register, sealer: Sealer):
    register(client_id="c")
    stores = [open_store(settings) for _ in range(4)]

    def attempt(store: Store) -> str | None:
        try:
            return str(clients.rotate_secret(store, sealer, "c", actor="test")["client_secret"])
        except ManageError:
            return None

    with ThreadPoolExecutor(4) as pool:
        texts = [text for text in pool.map(attempt, stores) if text]
    client = stores[0].clients.get("c")
    assert client is not None
    kept = {known.digest for known in client.secrets}
    assert texts
    assert all(crypto.client_secret_digest(text) in kept for text in texts)
    for store in stores:
        store.close()


def test_a_client_without_secret_has_none_to_rotate(register: Register, store: Store, sealer: Sealer):
    register(client_id="c", token_endpoint_auth_method="none")
    with pytest.raises(ManageError, match="no secret"):
        clients.rotate_secret(store, sealer, "c", actor="test")


def test_the_secret_of_an_hmac_client_is_sealed_to_its_row(register: Register, store: Store, sealer: Sealer):
    answer = register(client_id="c", token_endpoint_auth_method="client_secret_jwt")
    client = store.clients.get("c")
    assert client is not None
    sealed = client.secrets[0].sealed
    assert client.secrets[0].digest is None
    assert sealed is not None
    assert crypto.open_client_secret(sealer, "c", sealed).decode() == answer["client_secret"]
    with pytest.raises(ValueError):
        crypto.open_client_secret(sealer, "d", sealed)


def test_changing_to_an_hmac_method_issues_a_new_secret(register: Register, store: Store, sealer: Sealer):
    first = register(client_id="c")["client_secret"]
    wanted = {"redirect_uris": [CB], "token_endpoint_auth_method": "client_secret_jwt"}
    second = clients.update(store, sealer, "c", wanted, actor="test")["client_secret"]
    assert second != first
    assert "client_secret" not in clients.update(store, sealer, "c", wanted, actor="test")


def test_secrets_are_sealed_anew_with_the_current_key(register: Register, store: Store):
    former = Sealer(FORMER_KEY)
    given = {"client_id": "c", "redirect_uris": [CB], "token_endpoint_auth_method": "client_secret_jwt"}
    text = clients.register(store, former, given, actor="test")["client_secret"]
    both = Sealer(SECRET_KEY, (FORMER_KEY,))
    assert clients.reseal_secrets(store, both, actor="test") == 1
    assert clients.reseal_secrets(store, both, actor="test") == 0
    client = store.clients.get("c")
    assert client is not None
    assert client.secrets[0].sealed is not None
    assert crypto.open_client_secret(Sealer(SECRET_KEY), "c", client.secrets[0].sealed).decode() == text


def test_what_is_shown_of_a_client_holds_no_secret(register: Register, store: Store, sealer: Sealer):
    answer = register(client_id="c")
    rotated = clients.rotate_secret(store, sealer, "c", actor="test")
    client = store.clients.get("c")
    assert client is not None
    shown = json.dumps(clients.describe(client))
    for text in (answer["client_secret"], rotated["client_secret"]):
        assert text not in shown
        assert crypto.client_secret_digest(text).hex() not in shown
    assert len(clients.describe(client)["secrets"]) == 2


def test_switching_off_and_removing_are_audited(register: Register, store: Store):
    register(client_id="c")
    clients.set_disabled(store, "c", disabled=True, actor="me")
    clients.set_disabled(store, "c", disabled=False, actor="me")
    clients.remove(store, "c", actor="me")
    with pytest.raises(ManageError, match="no client"):
        clients.remove(store, "c", actor="me")
    lines = [(line.event.name, line.event.actor) for line in store.audit.list(0, 10)]
    assert lines == [
        ("client.added", "test"),
        ("client.disabled", "me"),
        ("client.enabled", "me"),
        ("client.removed", "me"),
    ]


def test_secrets_are_in_no_audit_line(register: Register, store: Store, sealer: Sealer):
    texts = [register(client_id="c")["client_secret"], clients.rotate_secret(store, sealer, "c", actor="t")["client_secret"]]
    trail = repr(store.audit.list(0, 10))
    assert not any(text in trail for text in texts)
