"""Registering and changing clients (RFC 7591, RFC 7592; OpenID Connect Registration)."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from authserver import crypto
from authserver.clock import SECOND, now
from authserver.crypto import Sealer
from authserver.manage import clients
from authserver.manage.changes import alone, version_of
from authserver.manage.errors import ChangedMeanwhile, InvalidMetadata, ManageError, OutOfDate
from authserver.records import Event
from authserver.settings import Settings
from authserver.store import Store, open_store
from tests.manage.conftest import CB, FORMER_KEY, SECRET_KEY, Register, refusal
from tests.manage.test_jwks import EC

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
    members = {
        name: (lambda _name, value: value)
        for name in ("require_pushed_authorization_requests", "dpop_bound_access_tokens")
    }
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
        exchange_audiences=["https://api.example/"],
        may_impersonate=True,
        id_jag_audiences={"https://chat.example/": {"client_id": "a"}},
        unknown=1,
    )
    assert answer["client_id"] != "chosen"
    assert answer.keys().isdisjoint({"exchange_audiences", "may_impersonate", "id_jag_audiences"})
    assert answer["client_secret"] != "s" * 40
    assert not {"trusted", "introspects_all", "resource_server_for", "unknown"} & answer.keys()
    client = store.clients.get(answer["client_id"])
    assert client is not None
    assert (client.profile, client.origin, client.trusted, client.require_pkce) == (
        "oauth21",
        "registration",
        False,
        True,
    )


def test_an_update_of_a_self_registered_client_keeps_what_the_administrator_said(
    register: Register, store: Store, sealer: Sealer
):
    client_id = register(origin="registration")["client_id"]
    known = store.clients.get(client_id)
    assert known is not None
    said = {"trusted": True, "refresh_rotation": False, "introspects_all": True}
    store.clients.update(replace(known, metadata={**known.metadata, **said}), Event("tested"))
    answer = clients.update(store, sealer, client_id, {"redirect_uris": [CB], "trusted": False}, actor="test")
    # What the profile says where nothing is said does not count against it either.
    assert said.items() <= answer.items()
    with pytest.raises(InvalidMetadata):
        clients.update(
            store, sealer, client_id, {"redirect_uris": [CB], "token_endpoint_auth_method": "none"}, actor="test"
        )


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


def test_what_was_changed_since_it_was_seen_or_is_being_changed_is_not_removed(
    register: Register, store: Store, sealer: Sealer
):
    register(client_id="c")
    seen = version_of(clients.describe(clients.existing(store, "c")))
    clients.rotate_secret(store, sealer, "c", actor="somebody else")
    with pytest.raises(OutOfDate):
        clients.remove(store, "c", actor="me", version=seen)
    seen = version_of(clients.describe(clients.existing(store, "c")))
    with alone(store, "client-change", "c"), pytest.raises(ChangedMeanwhile):
        clients.remove(store, "c", actor="me", version=seen)
    clients.remove(store, "c", actor="me", version=seen)


def test_secrets_are_in_no_audit_line(register: Register, store: Store, sealer: Sealer):
    texts = [
        register(client_id="c")["client_secret"],
        clients.rotate_secret(store, sealer, "c", actor="t")["client_secret"],
    ]
    trail = repr(store.audit.list(0, 10))
    assert not any(text in trail for text in texts)
