"""Proof Key for Code Exchange (RFC 7636), method S256 only (RFC 9700 2.1.1).

https://www.rfc-editor.org/rfc/rfc7636

The client sends the hash of a secret with the authorization request and the secret with the code: a stolen or injected
code is worthless. The ``plain`` method does not exist here.

Plugs into: AUTHORIZE_CHECK, TOKEN_CHECK, METADATA.
"""

import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from authserver import crypto
from authserver.oauth import errors
from authserver.oauth.request import Request
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"code_challenge", "code_challenge_method", "code_verifier"})
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9._~-]{43,128}", re.ASCII)  # 4.2
# 4.1, and the rest of base64, in which programs in use send theirs (git-credential-oauth 0.4.2): nothing but its hash
# counts (4.6).
_VERIFIER: Final = re.compile(r"[A-Za-z0-9._~+/=-]{43,128}", re.ASCII)


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the method (RFC 8414 2)."""
    del server, settings
    return {"code_challenge_methods_supported": ["S256"]}


def challenge(server: "Server", request: Request) -> None:
    """Check the challenge of an authorization request (4.3, 4.4.1)."""
    del server
    value = request.parameters.get("code_challenge")
    method = request.parameters.get("code_challenge_method")
    if value is None:
        # RFC 9700 2.1.1: public clients always; a client without the requirement must not send half of it.
        needed = request.client.require_pkce or request.client.public
        if method is not None or (needed and "code" in request.parameters["response_type"]):
            raise errors.InvalidRequest(errors.CHALLENGE_MISSING)
        return
    # 4.3: an absent method means "plain", which RFC 9700 2.1.1 warns of and this server does not have.
    if method != "S256":
        raise errors.InvalidRequest(errors.CHALLENGE_METHOD)
    if not _CHALLENGE.fullmatch(value):
        raise errors.InvalidRequest(errors.CHALLENGE_MALFORMED)


def verify(server: "Server", request: Request) -> None:
    """Check the verifier against the challenge of the code's grant (4.6)."""
    del server
    if request.grant is None or request.parameters.get("grant_type") != "authorization_code":
        return
    value, expected = request.parameters.get("code_verifier"), request.grant.code_challenge
    if expected is None:
        # RFC 9700 2.1.1 and 4.8.2: otherwise stripping the challenge from the request would go unseen.
        if value is not None:
            raise errors.InvalidGrant(errors.VERIFIER_UNASKED)
        return
    if value is None:
        raise errors.InvalidGrant(errors.VERIFIER_MISSING)
    if not _VERIFIER.fullmatch(value) or not crypto.same(crypto.b64(sha256(value.encode()).digest()), expected):
        raise errors.InvalidGrant(errors.VERIFIER_WRONG)
