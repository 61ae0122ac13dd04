"""Clients: one JSON column under the names of RFC 7591."""

from dataclasses import replace

import pytest

from authserver.clock import MINUTE, SECOND
from authserver.records import ClientSecret
from authserver.store import Conflict, Store
from authserver.store.clients import make_client
from tests.store.conftest import StillClock
from tests.store.makers import EVENT, NOW, a_client, a_consent, a_grant, a_user, an_access_token, digest, furnish

SECRETS = (ClientSecret(b"\0\xff", None, NOW), ClientSecret(None, b"sealed", NOW, NOW + MINUTE))


@pytest.mark.usefixtures("still")
def test_a_client_comes_back_as_it_was_added(store: Store):
    client = replace(a_client(jwks={"keys": []}), secrets=SECRETS, profile="legacy", origin="registration")
    store.clients.add(client, EVENT)
    assert store.clients.get("client") == replace(client, created_at=NOW, updated_at=NOW)
    assert store.clients.get("other") is None
    assert [line.event for line in store.audit.list(0, 10)] == [EVENT]


def test_typed_members_are_read_from_the_metadata_and_null_means_default():
    client = make_client(
        "c",
        {
            "scope": "a b",
            "resources": ["https://api.example"],
            "web_origins": ["https://app.example"],
            "resource_server_for": ["https://api.example"],
            "grace_seconds": None,
            "trusted": True,
            "require_pkce": False,
            "unknown_member": 1,
        },
    )
    assert client.scopes == {"a", "b"}
    assert client.resources == ("https://api.example",)
    assert client.web_origins == {"https://app.example"}
    assert client.resource_server_for == {"https://api.example"}
    assert client.grace_seconds is None
    assert client.trusted
    assert not client.require_pkce
    assert make_client("c", {}).resources is None
    assert client.metadata["unknown_member"] == 1


def test_clients_come_in_pages_by_their_ids(store: Store):
    for client_id in ("b", "d", "a", "c"):
        store.clients.add(a_client(client_id), EVENT)
    pages = [store.clients.page(after, 2) for after in ("", "b", "d")]
    assert [[client.client_id for client in page] for page in pages] == [["a", "b"], ["c", "d"], []]


def test_a_client_id_is_taken_once(store: Store):
    store.clients.add(a_client(), EVENT)
    with pytest.raises(Conflict):
        store.clients.add(a_client(), EVENT)
    assert len(store.audit.list(0, 10)) == 1


def test_a_client_id_may_not_be_a_users_sub_nor_the_other_way_round(store: Store):
    store.users.add(a_user("sub-1"), None, EVENT)
    with pytest.raises(Conflict, match="client_id"):
        store.clients.add(a_client("sub-1"), EVENT)
    store.clients.add(a_client("client"), EVENT)
    with pytest.raises(Conflict, match="sub"):
        store.users.add(a_user("client", "bob", "bob@people.test"), None, EVENT)


def test_an_update_replaces_metadata_and_secrets_but_not_the_state(store: Store, still: StillClock):
    store.clients.add(replace(a_client(), secrets=SECRETS), EVENT)
    store.clients.set_disabled("client", True, EVENT)
    still.move(5)
    assert store.clients.update(replace(a_client(scope="x"), secrets=SECRETS[:1], profile="oidc"), EVENT)
    client = store.clients.get("client")
    assert client
    assert (client.scopes, client.secrets, client.profile) == ({"x"}, SECRETS[:1], "oidc")
    assert (client.disabled_at, client.created_at, client.updated_at) == (NOW, NOW, NOW + 5)
    assert not store.clients.update(a_client("other"), EVENT)


def test_clients_are_listed_the_oldest_first(store: Store, still: StillClock):
    for name in ("b", "a", "c"):
        store.clients.add(a_client(name), EVENT)
        still.move(1)
    assert [client.client_id for client in store.clients.all()] == ["b", "a", "c"]


def test_a_disabled_client_loses_its_grants_and_tokens_for_good(store: Store, still: StillClock):
    furnish(store)
    store.grants.open(a_grant(), digest("code"), NOW + MINUTE)
    store.tokens.add(an_access_token())
    store.tokens.add(an_access_token("own", grant_id=None, sub="client"))
    still.move(1)
    assert store.clients.set_disabled("client", True, EVENT)
    assert not store.clients.set_disabled("client", True, EVENT)
    still.move(1)
    assert store.clients.set_disabled("client", False, EVENT)
    assert not store.clients.set_disabled("client", False, EVENT)
    assert store.grants.get("grant") is None
    assert store.tokens.find(digest("access")) is None
    assert store.tokens.find(digest("own")) is None
    assert store.grants.redeem(digest("code"), "client") is None
    store.tokens.add(an_access_token("new", grant_id=None, sub="client", now=still.time))
    assert store.tokens.find(digest("new"))


def test_a_jwt_of_the_second_in_which_its_client_was_disabled_does_not_come_back(store: Store, still: StillClock):
    furnish(store)
    second = (NOW // SECOND + 1) * SECOND

    def lives(issued_at: int) -> bool:
        jwt = {"jti": "j", "grant_id": None, "client_id": "client", "sub": "client"}
        return store.tokens.find_jwt(**jwt, issued_at=issued_at) is not None

    still.time = second + 5
    assert lives(second)
    assert store.clients.set_disabled("client", True, EVENT)
    still.move(SECOND)
    assert store.clients.set_disabled("client", False, EVENT)
    assert not lives(second)
    assert lives(second + SECOND)


def test_a_deleted_client_takes_everything_with_it_and_a_namesake_revives_nothing(store: Store, still: StillClock):
    furnish(store)
    store.consents.allow([a_consent()])
    store.grants.open(a_grant())
    store.grants.open(a_grant("coded"), digest("code"), NOW + MINUTE)
    store.tokens.add(an_access_token())
    store.tokens.add(an_access_token("own", grant_id=None, sub="client"))
    still.move(1)
    assert store.clients.delete("client", EVENT)
    assert not store.clients.delete("client", EVENT)
    assert store.consents.of_user("sub-1") == ()
    store.grants.open(a_grant("on its way"), digest("late"), NOW + MINUTE)
    store.clients.add(a_client(), EVENT)
    assert store.grants.get("grant") is None
    assert store.grants.redeem(digest("code"), "client") is None
    assert store.grants.redeem(digest("late"), "client") is None
    assert store.tokens.find(digest("access")) is None
    assert store.tokens.find(digest("own")) is None
