"""The signing keys that a deployment gets when a client asks for their algorithm, and not before."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import jwt as pyjwt
import pytest
from joserfc import jws
from joserfc.jwk import KeySet, import_key

from authserver import clock, keys, signing
from authserver.clock import DAY, HOUR, MINUTE, SECOND, now
from authserver.crypto import Sealer
from authserver.keys import ALGORITHMS, AT_NEED, SIGNING, KeyRingError
from authserver.manage import clients, overview
from authserver.manage.errors import InvalidMetadata
from tests.rings import CLAIMS, EVENT, NEW_SECRET, SECRET, World, counts, key_world, published, refreshed, signer

CLIENT = {"redirect_uris": ["https://client.test/callback"], "client_name": "Client"}


@pytest.fixture
def world(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with key_world(database_url, monkeypatch) as made:
        made.begin()
        yield made


def algorithms(world: World) -> list[str]:
    """Return the algorithms of the stored keys, without those of every deployment."""
    return sorted(row.algorithm for row in world.store.keys.all() if row.algorithm in AT_NEED)


# When they are made.


def test_a_deployment_begins_without_them(world: World):
    assert keys.used(world.settings) == ALGORITHMS
    ring = world.process()
    for algorithm in ALGORITHMS:
        signer(ring, algorithm)
    assert algorithms(world) == []
    assert {key["alg"] for key in published(ring)} == set(ALGORITHMS)


def test_registering_a_client_for_one_publishes_its_key_before_anything_is_signed(world: World):
    ring = world.process()
    for wanted in ({"id_token_signed_response_alg": "ES384"}, {"id_token_signed_response_alg": "ES384"}):
        clients.register(world.store, world.sealer, {**CLIENT, **wanted}, actor="me")
    refreshed(ring)
    assert algorithms(world) == ["ES384"]
    assert [key["alg"] for key in published(ring)] == ["RS256", "ES256", "ES384"]
    assert signer(ring, "ES384") == published(ring)[2]["kid"]
    lines = [line.event for line in world.store.audit.list(0, 100) if line.event.name == "key.added"]
    assert [(event.actor, event.facts["algorithm"]) for event in lines] == [("me", "ES384")]


def test_so_does_a_change_of_a_client(world: World):
    made = clients.register(world.store, world.sealer, CLIENT, actor="me")
    assert algorithms(world) == []
    changed = {**CLIENT, "id_token_signed_response_alg": "Ed25519"}
    clients.update(world.store, world.sealer, made["client_id"], changed, actor="me")
    assert algorithms(world) == ["Ed25519"]


def test_a_refused_registration_makes_none(world: World):
    for wanted in ("RS384", "HS256", "none", "Ed448"):
        with pytest.raises(InvalidMetadata):
            clients.register(world.store, world.sealer, {**CLIENT, "id_token_signed_response_alg": wanted}, actor="me")
    wanted = {**CLIENT, "id_token_signed_response_alg": "ES384", "client_uri": "x"}
    with pytest.raises(InvalidMetadata):
        clients.register(world.store, world.sealer, wanted, actor="me")
    assert algorithms(world) == []


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")
@pytest.mark.parametrize("algorithm", AT_NEED)
def test_what_has_to_be_signed_and_has_no_key_gets_one(world: World, algorithm: str):
    # A client whose own document describes it, or a database from which the key was taken.
    ring = world.process()
    token = ring.sign(algorithm, "JWT", CLAIMS)
    assert algorithms(world) == [algorithm]
    public = next(key for key in published(ring) if key["alg"] == algorithm)
    assert public["kid"] == import_key(public).thumbprint() == signer(ring, algorithm)
    assert (public["use"], "d" in public) == ("sig", False)
    assert counts(ring, token)
    found = jws.deserialize_compact(token, KeySet.import_key_set({"keys": published(ring)}), [algorithm])
    assert found.headers() == {"alg": algorithm, "kid": public["kid"], "typ": "JWT"}
    if algorithm != "Ed25519":  # PyJWT knows its older name only
        assert pyjwt.decode(token, pyjwt.PyJWK(public), [algorithm]) == CLAIMS


def test_no_key_is_made_for_what_nobody_may_ask_for(world: World):
    ring = world.process()
    for algorithm in ("none", "HS256", "RS384", "ES512", "ECDH-ES", ""):
        with pytest.raises(KeyRingError):
            ring.sign(algorithm, "JWT", CLAIMS)
    assert len(world.store.keys.all()) == len(ALGORITHMS)


def test_a_process_that_has_not_read_the_new_key_yet_signs_with_it(world: World):
    first, second = world.process(), world.process()
    assert signer(first, "ES384") == signer(second, "ES384")
    assert algorithms(world) == ["ES384"]


def test_processes_and_threads_that_need_one_at_once_make_one(world: World):
    rings = [world.process(store=world.open()) for _ in range(3)]
    together = Barrier(6)

    def need(number: int) -> str:
        together.wait()
        return signer(rings[number % 3], "ES384")

    with ThreadPoolExecutor(6) as threads:
        assert len(set(threads.map(need, range(6)))) == 1
    assert algorithms(world) == ["ES384"]


def test_a_node_whose_clock_is_behind_signs_with_it_at_once(world: World):
    ring = world.process()
    clients.register(world.store, world.sealer, {**CLIENT, "id_token_signed_response_alg": "ES384"}, actor="me")
    clock.shift(-50)
    kid = signer(refreshed(ring), "ES384")
    assert kid in {key["kid"] for key in published(ring)}


def test_each_algorithm_has_a_key_of_its_own(world: World):
    # RFC 8725 3.1: neither RS256 and PS256 nor the two names of Ed25519 share one.
    ring = world.process()
    names = {signer(ring, algorithm) for algorithm in SIGNING}
    assert len(names) == len(SIGNING)
    assert [key["alg"] for key in published(ring)] == list(SIGNING)
    assert {key["kty"] for key in published(ring)} == {"RSA", "EC", "OKP"}


# Once made, they are like the others.


def test_they_are_rotated_with_the_others(world: World):
    ring = world.process()
    first, token = signer(ring, "ES384"), ring.sign("ES384", "JWT", CLAIMS)
    assert "ES384" in world.rotate()
    refreshed(ring)
    second = next(key["kid"] for key in published(ring) if key["alg"] == "ES384")
    life = 600 * SECOND + 10 * MINUTE
    for after, signs, good in (
        (0, first, True),
        (DAY - MINUTE, first, True),
        (DAY + MINUTE, second, True),
        (DAY + life - MINUTE, second, True),
        (DAY + life + MINUTE, second, False),
    ):
        clock.shift(after / SECOND)
        assert signer(ring, "ES384") == signs
        assert counts(ring, token) is good
    assert algorithms(world) == ["ES384", "ES384"]


def test_a_compromised_one_is_replaced_at_once(world: World):
    ring = world.process()
    first, token = signer(ring, "Ed25519"), ring.sign("Ed25519", "JWT", CLAIMS)
    second = world.rotate(compromised=True)["Ed25519"]
    refreshed(ring)
    assert signer(ring, "Ed25519") == second != first
    assert not counts(ring, token)
    assert first not in {key["kid"] for key in published(ring)}


def test_one_that_is_gone_is_not_rotated_and_is_made_anew_at_need(world: World):
    kid = world.add("ES384").kid
    world.store.keys.set_times(kid, now(), now(), EVENT)
    assert "ES384" not in world.rotate()
    assert signer(world.process(), "ES384") != kid


def test_a_younger_one_does_not_put_off_the_rotation(world: World):
    clock.shift(80 * 86400)
    signer(world.process(), "ES384")
    clock.shift(89.1 * 86400)
    assert keys.rotation_is_due(world.store, world.settings)


def test_they_are_sealed_anew_and_counted_with_the_others(world: World):
    signer(world.process(), "EdDSA")
    assert overview.overview(world.store)["signing_keys"] == 3
    assert keys.reseal(world.store, Sealer(NEW_SECRET, (SECRET,))) == 3
    assert signer(world.process(Sealer(NEW_SECRET)), "EdDSA")


def test_one_that_does_not_open_here_yet_is_not_made_a_second_time(world: World, caplog: pytest.LogCaptureFixture):
    # Node by node the secret key is exchanged: the other node has the new one already.
    caplog.set_level(logging.CRITICAL)
    ring = world.process()
    world.add("ES384", sealer=Sealer(NEW_SECRET, (SECRET,)))
    with pytest.raises(KeyRingError):
        ring.sign("ES384", "JWT", CLAIMS)
    assert algorithms(world) == ["ES384"]


def test_one_under_the_name_of_another_algorithm_signs_nothing(world: World):
    private = signing.make_private("ES384")
    row = keys.seal_key("ES384", private, world.sealer, publishes_at=now(), signs_at=now())
    world.store.keys.add(replace(row, algorithm="Ed25519"), EVENT)
    with pytest.raises(KeyRingError, match="is not a key for Ed25519"):
        world.process()


def test_one_that_is_planned_signs_from_its_time_on(world: World):
    planned = world.add("ES384", at=int(HOUR))
    ring = world.process()
    with pytest.raises(KeyRingError):
        ring.sign("ES384", "JWT", CLAIMS)
    clock.shift(3601)
    assert signer(ring, "ES384") == planned.kid
