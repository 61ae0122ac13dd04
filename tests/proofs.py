"""DPoP proofs (RFC 9449 4.2) as a client makes them with PyJWT, and wrong in every way that a test asks for."""

import hashlib
import json
import secrets
import time
from base64 import urlsafe_b64decode
from collections.abc import Callable
from functools import cache
from typing import Any

import jwt as pyjwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pytest_authserver import AuthServer
from tests.signing import KIND_OF, b64, key, pem, raw

RIGHT = "ES256"


class Prover:
    """The holder of one of the fixed keys."""

    def __init__(self, name: str = "p256", algorithm: str = RIGHT) -> None:
        self.name = name
        self.algorithm = algorithm
        self.jwk = _public(name)

    @property
    def jkt(self) -> str:
        """The thumbprint as joserfc computes it: a second reader of RFC 7638."""
        return key(self.name).thumbprint()

    def proof(
        self,
        method: str = "POST",
        url: str = "",
        token: str | None = None,
        *,
        head: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """Return a fresh proof; ``head`` and ``claims`` change members, None takes one away."""
        header = _merged({"typ": "dpop+jwt", "alg": self.algorithm, "jwk": self.jwk}, head or {})
        usual = {"jti": secrets.token_urlsafe(12), "htm": method, "htu": url, "iat": int(time.time())}
        if token is not None:
            usual["ath"] = ath(token)
        return self.sign(json.dumps(header).encode(), json.dumps(_merged(usual, claims)).encode())

    def sign(self, head: bytes, body: bytes) -> str:
        """Sign these very bytes."""
        return raw(head, body, self.algorithm, pem(self.name))


def proven(at: AuthServer, prover: Prover | None = None, path: str = "/token", **claims: Any) -> dict[str, str]:
    """Return the header of a POST to this path, with a fresh proof."""
    return {"DPoP": (prover or PROVER).proof("POST", at.issuer + path, **claims)}


@cache
def _public(name: str) -> dict[str, Any]:
    algorithm = "RS256" if name.startswith("rsa") else "EdDSA" if name.startswith("ed") else "ES256"
    implemented = pyjwt.get_algorithm_by_name(algorithm)
    private = load_pem_private_key(pem(name).encode(), None)
    members: dict[str, Any] = implemented.to_jwk(private.public_key(), as_dict=True)
    return {member: value for member, value in members.items() if member != "key_ops"}


def ath(token: str) -> str:
    """Return the hash that ties a proof to a token (4.2)."""
    return b64(hashlib.sha256(token.encode()).digest())


def _merged(usual: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**usual, **changes}.items() if value is not None}


PROVER, OTHER = Prover(), Prover("p256_other")

# What is wrong → the value of the DPoP header, for a request of this method, to this URL, with this token (or none).
Wrong = Callable[[Prover, str, str, str | None], str]


def _head(**members: Any) -> Wrong:
    return lambda prover, method, url, token: prover.proof(method, url, token, head=members)


def _claim(**members: Any) -> Wrong:
    return lambda prover, method, url, token: prover.proof(method, url, token, **members)


def _old(seconds: int) -> Wrong:
    return lambda prover, method, url, token: prover.proof(method, url, token, iat=int(time.time()) - seconds)


def _target(change: Callable[[str], Any]) -> Wrong:
    return lambda prover, method, url, token: prover.proof(method, url, token, htu=change(url))


def _signed_by(name: str, algorithm: str, shown: str | None = None, **members: Any) -> Wrong:
    """Sign with one key; show that key, or another one."""
    jwk = {**Prover(shown or name).jwk, **members}
    return lambda prover, method, url, token: Prover(name, algorithm).proof(method, url, token, head={"jwk": jwk})


def _other_alphabet(jwk: dict[str, Any]) -> dict[str, str]:
    changed = {name: jwk[name].replace("-", "+").replace("_", "/") for name in ("x", "y")}
    assert changed != {name: jwk[name] for name in ("x", "y")}
    return changed


def _left_over(number: str) -> str:
    """Write the same bytes with another last letter: two of its bits say nothing."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return number[:-1] + alphabet[alphabet.index(number[-1]) + 1]


def _zero_in_front(number: str) -> str:
    return b64(b"\0" + urlsafe_b64decode(number + "=" * (-len(number) % 4)))


def _text(change: Callable[[str], str]) -> Wrong:
    return lambda prover, method, url, token: change(prover.proof(method, url, token))


def _unsigned(prover: Prover, method: str, url: str, token: str | None) -> str:
    return prover.proof(method, url, token, head={"alg": "none"}).rpartition(".")[0] + "."


def _with_shared_secret(prover: Prover, method: str, url: str, token: str | None) -> str:
    """Sign with a part of the public key as an HMAC key."""
    head = {"typ": "dpop+jwt", "alg": "HS256", "jwk": prover.jwk}
    claims = {
        "jti": secrets.token_urlsafe(12),
        "htm": method,
        "htu": url,
        "iat": int(time.time()),
        "ath": ath(token or ""),
    }
    return raw(json.dumps(head).encode(), json.dumps(claims).encode(), "HS256", prover.jwk["x"])


def _twice(prover: Prover, method: str, url: str, token: str | None) -> str:
    """As WSGI hands on two headers."""
    return f"{prover.proof(method, url, token)}, {prover.proof(method, url, token)}"


def _repeated_member(prover: Prover, method: str, url: str, token: str | None) -> str:
    claims = f'{{"jti":"{secrets.token_urlsafe(9)}","htm":"{method}","htu":"{url}","iat":{int(time.time())},"ath":"x"'
    claims += f',"ath":"{ath(token)}"}}' if token else ',"ath":"y"}'
    return prover.sign(json.dumps({"typ": "dpop+jwt", "alg": "ES256", "jwk": prover.jwk}).encode(), claims.encode())


def _private(prover: Prover, method: str, url: str, token: str | None) -> str:
    from joserfc.jwk import ECKey

    jwk = ECKey.import_key(pem(prover.name)).as_dict(private=True)
    return prover.proof(method, url, token, head={"jwk": jwk})


def _changed_signature(text: str) -> str:
    signed, _, signature = text.rpartition(".")
    return f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


WRONG: dict[str, Wrong] = {
    # 4.3, 1 and 2: one header, one well-formed JWT.
    "two headers": _twice,
    "empty": _text(lambda text: ""),
    "not a jwt": _text(lambda text: "proof"),
    "two parts": _text(lambda text: text.rpartition(".")[0]),
    "four parts": _text(lambda text: text + ".AA"),
    "padding": _text(lambda text: text + "="),
    "spaces": _text(lambda text: text.replace(".", ". ")),
    "huge": _claim(more="x" * 6_500),
    "deep": _claim(more=json.loads("[" * 40 + "]" * 40)),
    "a repeated member": _repeated_member,
    "critical": _head(crit=["exp"], exp=1),
    # 3 to 5: typ and alg.
    "no typ": _head(typ=None),
    "typ JWT": _head(typ="JWT"),
    "typ of an access token": _head(typ="at+jwt"),
    "typ in capitals": _head(typ="DPoP+JWT"),
    "typ no string": _head(typ=["dpop+jwt"]),
    "no alg": _head(alg=None),
    "alg no string": _head(alg=["ES256"]),
    "alg none": _unsigned,
    "HS256": _with_shared_secret,
    "RS256": _signed_by("rsa", "RS256"),
    "ES384": _signed_by("p384", "ES384"),
    "unknown alg": _head(alg="ES256K"),
    # 6 and 7: the key.
    "no jwk": _head(jwk=None),
    "jwk a string": _head(jwk="key"),
    "jwk empty": _head(jwk={}),
    "jwk private": _private,
    "jwk symmetric": _head(jwk={"kty": "oct", "k": "AAAA"}),
    "jwk with k": _signed_by("p256", "ES256", k="AAAA"),
    "jwk of another curve": _signed_by("p256", "ES256", "p384"),
    "jwk of P-192": _signed_by("p256", "ES256", crv="P-192"),
    "jwk of Ed448": _head(alg="EdDSA", jwk={"kty": "OKP", "crv": "Ed448", "x": "A" * 76}),
    "jwk off its curve": _signed_by("p256", "ES256", y="A" * 43),
    "jwk padded": _signed_by("p256", "ES256", x=Prover("p256").jwk["x"] + "="),
    "jwk in the other alphabet": _signed_by("p256", "ES256", **_other_alphabet(Prover("p256").jwk)),
    "jwk with a line break": _signed_by("p256", "ES256", x=Prover("p256").jwk["x"] + "\n"),
    "jwk with bits left over": _signed_by("p256", "ES256", x=_left_over(Prover("p256").jwk["x"])),
    "jwk with a list": _signed_by("p256", "ES256", x=["A" * 43]),
    "RSA of 1024 bits": _signed_by("rsa_short", "PS256"),
    "RSA with a zero in front": _signed_by("rsa", "PS256", n=_zero_in_front(Prover("rsa").jwk["n"])),
    "RSA without exponent": _signed_by("rsa", "PS256", e=""),
    "RSA with an even exponent": _signed_by("rsa", "PS256", e="Ag"),
    "bad signature": _text(_changed_signature),
    "cut signature": _text(lambda text: text[:-8]),
    "signed by another key": _signed_by("p256_other", "ES256", "p256"),
    "signed by another kind of key": _signed_by("rsa", "PS256", "p256"),
    # 8 and 9: the request.
    "no htm": _claim(htm=None),
    "another htm": _claim(htm="PUT"),
    "htm in small letters": lambda prover, method, url, token: prover.proof(method.lower(), url, token),
    "htm a list": lambda prover, method, url, token: prover.proof(method, url, token, htm=[method]),
    "no htu": _claim(htu=None),
    "htu of another host": _target(lambda url: url.replace("://", "://other.")),
    "htu of another path": _target(lambda url: url + "x"),
    "htu with a slash behind": _target(lambda url: url + "/"),
    "htu in capitals": _target(lambda url: url[:-4] + url[-4:].upper()),
    "htu with an encoded letter": _target(lambda url: f"{url[:-1]}%{ord(url[-1]):02X}"),
    "htu with an encoded slash": _target(lambda url: "%2F".join(url.rsplit("/", 1))),
    "htu with dots": _target(lambda url: "/./".join(url.rsplit("/", 1))),
    "htu of the other scheme": _target(
        lambda url: url.replace("http:", "https:") if url.startswith("http:") else url.replace("https:", "http:")
    ),
    "htu with another port": _target(lambda url: "/".join([*url.split("/")[:2], "localhost:1", *url.split("/")[3:]])),
    "htu with a user": _target(lambda url: url.replace("://", "://user@")),
    "htu with a line break": _target(lambda url: url + "\n"),
    "htu with a space in front": _target(lambda url: " " + url),
    "htu without scheme": _target(lambda url: url.partition(":")[2]),
    "htu a path": _target(lambda url: "/" + url.split("/", 3)[3]),
    "htu empty": _claim(htu=""),
    "htu a list": _target(lambda url: [url]),
    "htu a number": _claim(htu=1),
    "htu an object": _target(lambda url: {url: url}),
    # 3 and 11: identifier and time.
    "no jti": _claim(jti=None),
    "jti empty": _claim(jti=""),
    "jti a number": _claim(jti=1),
    "jti a list": _claim(jti=["x"]),
    "jti too long": _claim(jti="x" * 257),
    "no iat": _claim(iat=None),
    "iat a string": lambda prover, method, url, token: prover.proof(method, url, token, iat=str(int(time.time()))),
    "iat true": _claim(iat=True),
    "iat a list": _claim(iat=[]),
    "iat below zero": _claim(iat=-1),
    "iat out of range": _claim(iat=2**60),
    "an hour old": _old(3600),
    "an hour ahead": _old(-3600),
    "61 s old": _old(61),
    "62 s ahead": _old(-62),
    "nonce no string": _claim(nonce=1),
}
"""Refused wherever a proof is taken."""

WRONG_AT_RESOURCES: dict[str, Wrong] = {
    "no ath": _claim(ath=None),
    "ath of another token": _claim(ath=ath("another token")),
    "ath in hexadecimal": lambda prover, method, url, token: prover.proof(
        method, url, token, ath=hashlib.sha256((token or "").encode()).hexdigest()
    ),
    "ath padded": lambda prover, method, url, token: prover.proof(method, url, token, ath=ath(token or "") + "="),
    "ath a list": lambda prover, method, url, token: prover.proof(method, url, token, ath=[ath(token or "")]),
    "made with another key": lambda prover, method, url, token: Prover("p256_third").proof(method, url, token),
}
"""Refused where it comes with an access token (4.3, 12)."""

RIGHT_KEYS = [(name, algorithm) for algorithm, name in KIND_OF.items() if algorithm not in {"RS256", "ES384"}]
"""Keys and the algorithms that are taken for them."""
