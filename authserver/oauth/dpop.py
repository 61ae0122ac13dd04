"""OAuth 2.0 Demonstrating Proof of Possession, DPoP (RFC 9449).

https://www.rfc-editor.org/rfc/rfc9449

The client signs a small proof for every request, and what it gets is bound to the key of that proof: whoever steals the
token cannot use it. The proof itself is checked by ``resourceserver.dpop``, as a resource server would; here it is
admitted once on all nodes, with a nonce where one is demanded, before the grant spends anything.

Plugs into: METADATA, PARAMETERS, CLIENT_METADATA, PUSH_PREPARE, AUTHORIZE_CHECK, TOKEN_PREPARE, TOKEN_CHECK,
USERINFO_CHECK.
"""

import logging
import re
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.clock import MINUTE, SECOND, now
from authserver.limits import Exceeded
from authserver.manage.client_metadata import flag
from authserver.oauth import errors, issue
from authserver.oauth.request import Request
from authserver.records import Client, Grant
from authserver.settings import Settings
from resourceserver.dpop import ALGORITHMS, Nonces, Proof, check
from resourceserver.errors import InvalidProofError

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "dpop"
PARAMETERS: Final = frozenset({"dpop_jkt"})
CLIENT_METADATA: Final = {"dpop_bound_access_tokens": flag, "dpop_require_nonce": flag}
ALGS: Final = " ".join(ALGORITHMS)
_SPACE: Final = "dpop-proof"
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the algorithms of proofs (5.1)."""
    del server, settings
    return {"dpop_signing_alg_values_supported": list(ALGORITHMS)}


def proof(server: "Server", request: Request) -> None:
    """Check the proof, where there is one (5, 10.1): the client is known, and nothing has been spent yet."""
    if "DPoP" not in request.headers:
        return
    found = _checked(server, request, request.client)
    _admit(server, request, request.client, found)
    request.jkt, request.token_type = found.jkt, "DPoP"


def require(server: "Server", request: Request) -> None:
    """Refuse a token request without a proof from a client that always sends one (5.2)."""
    del server
    if request.jkt is None and request.client.metadata.get("dpop_bound_access_tokens"):
        raise errors.InvalidDPoPProof(errors.PROOF_MISSING)


def binding(server: "Server", request: Request) -> None:
    """Hold a code to the key that was named for it (10), and the refresh tokens of a public client to theirs (5)."""
    grant, refreshing = request.grant, request.refresh_token is not None
    # 5: refresh tokens of a client with credentials "are not bound to the DPoP proof public key".
    if grant is None or (refreshing and not request.client.public):
        return
    cnf = grant.cnf
    if cnf is None and refreshing and request.jkt is not None:
        cnf = _bind(server, request, grant)
    jkt = None if cnf is None else orjson.loads(cnf).get("jkt")
    if jkt is not None and jkt != request.jkt:
        raise errors.InvalidGrant(errors.KEY_DIFFERS)


def resource_proof(server: "Server", request: Request, access_token: str) -> None:
    """Check the proof that comes with an access token of the scheme DPoP (7.1)."""
    if request.headers.get("Authorization", "")[:5].lower() != "dpop ":
        return
    client = server.query_client(request.claims["client_id"])
    if client is None:
        raise errors.InvalidToken(errors.TOKEN_INVALID)
    found = _checked(server, request, client, access_token)
    # Before the proof is remembered: a stolen token and a key of one's own fill no memory.
    if request.claims.get("cnf", {}).get("jkt") != found.jkt:
        raise errors.InvalidToken(errors.TOKEN_UNPROVEN)
    _admit(server, request, client, found, 401)
    request.jkt = found.jkt


def code_binding(server: "Server", request: Request) -> None:
    """Bind the code that will be issued to a key: the one that is named (10), or proven where it is pushed (10.1)."""
    del server
    named = request.parameters.get("dpop_jkt")
    if named is not None and (not _THUMBPRINT.fullmatch(named) or request.jkt not in {None, named}):
        raise errors.InvalidRequest(errors.DPOP_JKT)
    request.dpop_jkt = named or request.jkt


def _checked(server: "Server", request: Request, client: Client, access_token: str | None = None) -> Proof:
    url, *aliases = server.settings.urls_of(request.endpoint)
    try:
        return check(
            request.headers.get("DPoP", ()),
            method=request.method,
            url=url,
            aliases=aliases,
            now=now() / SECOND,
            access_token=access_token,
        )
    except InvalidProofError as refusal:
        raise _refused(client, refusal.reason, 400 if access_token is None else 401) from None


def _admit(server: "Server", request: Request, client: Client, good: Proof, status: int = 400) -> None:
    """Let a good proof count: with a nonce of ours where one is demanded (8, 8.2), and once (11.1)."""
    if server.settings.dpop.require_nonce or client.metadata.get("dpop_require_nonce"):
        nonces, moment = Nonces(server.sealer.derive("dpop-nonce")), now() / SECOND
        if not nonces.accepts(good.nonce, moment):
            raise errors.UseDPoPNonce(nonces.current(moment), status)
        if good.nonce != nonces.current(moment):
            request.answer_headers += (("DPoP-Nonce", nonces.current(moment)),)
    _count(server, request, client)
    memory = server.store.ephemeral
    if not memory.first_time(_SPACE, good.digest, good.expires_at * SECOND):
        raise _refused(client, "proof was used before", status)
    # As with client assertions: what was made before the memory of used ones may have been used before it.
    if memory is not server.store.single_use and good.iat < memory.born_at() // SECOND:
        raise _refused(client, "proof is older than the memory of used ones", status)


def _count(server: "Server", request: Request, client: Client) -> None:
    """Bound what is remembered (11.1): by whoever is known to have sent it, and refusing rather than forgetting."""
    limits = server.settings.limits
    sender, most = (
        (request.address, limits.proofs_per_address) if client.public else (client.client_id, limits.proofs_per_client)
    )
    try:
        server.limits.count_here(_SPACE, sender, MINUTE, most)
    except Exceeded as limit:
        raise errors.TooManyRequests(errors.TOO_MANY_PROOFS, limit.retry_after) from None


def _bind(server: "Server", request: Request, grant: Grant) -> str | None:
    """Bind the grant of a public client that sends its first proof with a refresh token; return what binds it now."""
    presented = request.refresh_token.state
    if presented.rotated_at is not None:
        # The answer to it went to somebody who had no proof; whoever repeats it takes the grant away from nobody.
        raise errors.InvalidGrant(errors.KEY_DIFFERS)
    cnf = orjson.dumps({**request.confirmation, issue.UNBOUND_UNTIL: presented.generation}).decode()
    if server.store.grants.bind(grant.grant_id, cnf):
        return cnf
    # Another request with the same refresh token was first.
    now_bound = server.store.grants.get(grant.grant_id)
    if now_bound is None:
        raise errors.InvalidGrant(errors.REFRESH_INVALID)
    return now_bound.cnf


def _refused(client: Client, reason: str, status: int) -> errors.InvalidDPoPProof:
    logger.info("proof refused: %s", reason, extra={"client_id": client.client_id})
    return errors.InvalidDPoPProof(errors.PROOF_INVALID, status)
