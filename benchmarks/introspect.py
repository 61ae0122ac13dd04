"""Introspection: a resource server asks about an active opaque token."""

from benchmarks.connection import post
from benchmarks.script import Operation, Script, Target, must
from benchmarks.token import SCOPE

_FEW = 500  # questions about one token before the next


def introspection(at: Target, _number: int) -> Script:
    parameters = {"grant_type": "client_credentials", "scope": SCOPE, "resource": at.resource}
    asking = post(at.authority, "/token", at.clients["machine"], parameters)
    while True:
        token = (yield asking).json()["access_token"]
        request = post(at.authority, "/introspect", at.clients["resource-server"], {"token": token})
        for _ in range(_FEW):
            answer = (yield request).json()
            must(answer["active"] is True and answer["aud"] == at.resource, "not active, or another audience")
            must(answer["client_id"] == at.clients["machine"]["client_id"], "another client")
            yield None


OPERATIONS = (Operation("introspection", "introspection, opaque, active", introspection),)
