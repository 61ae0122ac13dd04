"""A store with the fixed keys of the tests, and key rings of several processes over it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from authserver import clock, jwt, keys, signing
from authserver.clock import now
from authserver.crypto import Sealer
from authserver.keys import KeyRing
from authserver.records import Event, SigningKey
from authserver.settings import Features, Settings
from authserver.store import Store, open_store
from pytest_authserver import signing_keys
from tests.signing import pem

SECRET, NEW_SECRET = "secret key of the tests, first", "secret key of the tests, second"
SIGNING = {
    "RS256": ("rsa", "rsa_other", "rsa_third"),
    "ES256": ("p256", "p256_other", "p256_third"),
    "PS256": ("RSA-OAEP-256", "RS256"),  # those of the kit
}
# A key has one use, so where there are encryption keys, too, the names are divided; the kit has one more of each kind.
BOTH = {
    "RS256": ("rsa", "rsa_other"),
    "ES256": ("p256", "p256_other"),
    "RSA-OAEP-256": ("rsa_third", "RSA-OAEP-256"),
    "ECDH-ES": ("p256_third", "ECDH-ES"),
}
EVENT = Event("test")
CLAIMS = {"iss": "https://as.example", "sub": 'Zo\u00eb "\\', "exp": 2**33, "list": [1, None, {"a": True}]}


@cache
def private_key(name: str) -> rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey:
    """Return a key of the tests as the library's object; reading an RSA key takes 30 ms."""
    if name in BOTH:
        return signing_keys.private_key(name)
    private = serialization.load_pem_private_key(pem(name).encode(), None)
    assert isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return private


class World:
    """A store with fixed keys, and as many processes over it as a test wants; with ``jar``, keys to encrypt to, too."""

    def __init__(self, url: str, *, jar: bool = False) -> None:
        self.settings = Settings(issuer="https://as.example", database_url=url, features=Features(jar=jar))
        self.sealer = Sealer(SECRET)
        self.stores: list[Store] = []
        self.store = self.open()
        self.store.upgrade()
        self.left = {algorithm: iter(names) for algorithm, names in (BOTH if jar else SIGNING).items()}

    def open(self) -> Store:
        self.stores.append(open_store(self.settings))
        return self.stores[-1]

    def make(self, algorithm: str, sealer: Sealer, *, publishes_at: int, signs_at: int) -> SigningKey:
        """Stand in for ``keys.make_key``, which takes its time."""
        # Those of the other kinds are made in no time.
        named = algorithm in self.left
        private = private_key(next(self.left[algorithm])) if named else signing.make_private(algorithm)
        return keys.seal_key(algorithm, private, sealer, publishes_at=publishes_at, signs_at=signs_at)

    def add(self, algorithm: str, at: int = 0, sealer: Sealer | None = None, **times: int) -> SigningKey:
        made = self.make(algorithm, sealer or self.sealer, publishes_at=now() + at, signs_at=now() + at)
        made = replace(made, **{name: now() + value for name, value in times.items()})
        self.store.keys.add(made, EVENT)
        return made

    def begin(self) -> dict[str, str]:
        """Make the first keys; return their kids."""
        return {algorithm: self.add(algorithm).kid for algorithm in keys.used(self.settings)}

    def process(self, sealer: Sealer | None = None, store: Store | None = None) -> KeyRing:
        ring = KeyRing(store or self.store, sealer or self.sealer, self.settings)
        ring.load()
        return ring

    def rotate(self, **how: bool) -> dict[str, str]:
        made = keys.rotate(self.store, self.sealer, self.settings, actor="me", **how)
        return {key.algorithm: key.kid for key in made}


@contextmanager
def key_world(url: str, monkeypatch: pytest.MonkeyPatch, *, jar: bool = False) -> Iterator[World]:
    """Make the world of a test; making keys then takes fixed ones."""
    made = World(url, jar=jar)
    monkeypatch.setattr(keys, "make_key", made.make)
    yield made
    clock.shift(0)
    for store in made.stores:
        store.close()


def refreshed(ring: KeyRing) -> KeyRing:
    """The seconds go by after which a process reads the keys again."""
    ring._due = 0.0
    return ring


def signer(ring: KeyRing, algorithm: str = "ES256") -> str:
    return str(jwt.parse(ring.sign(algorithm, "JWT", CLAIMS)).header["kid"])


def published(ring: KeyRing) -> list[dict[str, Any]]:
    return list(json.loads(ring.public_set().body)["keys"])


def kids(ring: KeyRing) -> list[str]:
    return [key["kid"] for key in published(ring)]


def counts(ring: KeyRing, token: str) -> bool:
    try:
        return ring.verify(jwt.parse(token)) == CLAIMS
    except jwt.InvalidJWT:
        return False
