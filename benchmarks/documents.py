"""Discovery and key set: prepared bytes."""

from benchmarks.connection import get
from benchmarks.script import Operation, Script, Target, must


def discovery(at: Target, _number: int) -> Script:
    request = get(at.authority, "/.well-known/openid-configuration")
    document = None
    while True:
        reply = yield request
        if document is None:
            must(reply.json()["issuer"] == at.issuer, "discovery of another issuer")
            document = reply.body
        must(reply.expect(200).body == document, "discovery differs from the answer before")
        yield None


def jwks(at: Target, _number: int) -> Script:
    request = get(at.authority, "/jwks")
    while True:
        reply = yield request
        must(len(reply.json()["keys"]) >= 2, "a key is missing")
        yield None


OPERATIONS = (
    Operation("discovery", "discovery", discovery),
    Operation("jwks", "JWKS", jwks),
)
