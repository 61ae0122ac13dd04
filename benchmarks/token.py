"""The token endpoint: client credentials in three forms, and a chain of refreshes."""

from collections.abc import Callable

from benchmarks.connection import post
from benchmarks.script import Operation, Script, Target, must, signed_as

SCOPE = "notes:read"


def client_credentials(client: str, algorithm: str | None = None) -> Callable[[Target, int], Script]:
    """Return the script of a client that asks for a token of its own."""

    def script(at: Target, _number: int) -> Script:
        parameters = {"grant_type": "client_credentials", "scope": SCOPE, "resource": at.resource}
        request = post(at.authority, "/token", at.clients[client], parameters)
        seen = ""
        while True:
            answer = (yield request).json()
            token = answer["access_token"]
            must(answer["scope"] == SCOPE and answer["token_type"] == "Bearer", "another scope or type")
            must(token != seen, "the same token twice")
            if algorithm is None:
                must(token.startswith("asa_"), "not an opaque token")
            else:
                must(signed_as(token, algorithm, "at+jwt")["aud"] == at.resource, "another audience")
            seen = token
            yield None

    return script


def refresh(at: Target, number: int) -> Script:
    """Refresh with what the answer before gave."""
    token = at.browsers[number]["refresh_token"]
    client = at.clients["app"]
    while True:
        request = post(at.authority, "/token", client, {"grant_type": "refresh_token", "refresh_token": token})
        answer = (yield request).json()
        must(answer["refresh_token"] != token, "the refresh token was not rotated")
        must(answer["access_token"].startswith("asa_"), "not an opaque token")
        must(signed_as(answer["id_token"], "RS256", "JWT")["aud"] == client["client_id"], "another audience")
        token = answer["refresh_token"]
        yield None


OPERATIONS = (
    Operation("cc_opaque", "client credentials, opaque", client_credentials("machine")),
    Operation("cc_es256", "client credentials, JWT ES256", client_credentials("machine-es256", "ES256")),
    Operation("cc_rs256", "client credentials, JWT RS256", client_credentials("machine-rs256", "RS256")),
    Operation("refresh", "refresh, rotated, RS256 ID token", refresh),
)
