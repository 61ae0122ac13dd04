"""ID token (OpenID Connect Core 1.0, 2, 3.1.3.3, 10, 12.2).

https://openid.net/specs/openid-connect-core-1_0.html#IDToken

Tells the client who signed in, when and how; claims of the profile come from userinfo, unless the client is registered
for ``id_token_claims``. A refresh answers a new one with the same iss, sub, aud, auth_time and sid, without a nonce.

It is signed by the algorithm that the client has registered, and then encrypted to the client where that is registered
(Registration 2). There is no ``azp``: the audience is always the client alone, and the claim is for other cases (2).

Plugs into: AUTHORIZE_CHECK, DEVICE_CHECK, CIBA_CHECK, TOKEN_CHECK, TOKEN_RESPOND, METADATA, CLIENT_METADATA.
"""

from hashlib import sha256, sha384, sha512
from typing import TYPE_CHECKING, Any, Final

from authserver.clock import SECOND
from authserver.crypto import b64
from authserver.keys import SIGNING
from authserver.manage.client_metadata import words
from authserver.oauth import encryption, errors
from authserver.oauth.request import Request
from authserver.oidc import claims, claims_locales, claims_request
from authserver.records import Client, Grant
from authserver.settings import Settings

if TYPE_CHECKING:
    from authserver.oauth.server import Server

TYP: Final = "JWT"
CLIENT_METADATA: Final = {  # Registration 2; id_token_signed_response_alg is a member of every client
    "id_token_encrypted_response_alg": words(*encryption.ALGORITHMS),
    "id_token_encrypted_response_enc": words(*encryption.METHODS),
}
# The hash of each algorithm that signs, where it is not SHA-256; Ed25519 hashes with SHA-512 (RFC 8032 5.1).
_HASHES: Final = {"ES384": sha384, "Ed25519": sha512, "EdDSA": sha512}


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the algorithms (OpenID Connect Discovery 1.0, 3)."""
    del server, settings
    return {
        "id_token_signing_alg_values_supported": list(SIGNING),
        "id_token_encryption_alg_values_supported": list(encryption.ALGORITHMS),
        "id_token_encryption_enc_values_supported": list(encryption.METHODS),
    }


def check_key(server: "Server", request: Request) -> None:
    """Refuse what would end in an ID token that cannot be encrypted, before anything is spent or asked for nothing."""
    algorithm = request.client.metadata.get("id_token_encrypted_response_alg")
    if algorithm is None or "openid" not in request.granted_scope.split():
        return
    try:
        encryption.find_key(server, request.client, algorithm)
    except encryption.NoKey:
        raise errors.InvalidRequest(errors.ENCRYPTION_KEY) from None


def add(server: "Server", request: Request) -> None:
    """Add the ID token to the response of a grant with the scope openid."""
    grant = request.grant
    if grant is None or "openid" not in request.granted_scope.split():
        return
    about: dict[str, Any] = {
        "at_hash": half_hash(request.response["access_token"], request.client.id_token_signed_response_alg)
    }
    # 12.2: a refreshed ID token has no nonce, because no authentication request stands behind it.
    if grant.nonce is not None and request.parameters.get("grant_type") == "authorization_code":
        about["nonce"] = grant.nonce
    request.response["id_token"] = make(server, request, grant, about)


def make(server: "Server", request: Request, grant: Grant, about: dict[str, Any], *, alone: bool = False) -> str:
    """Write the ID token of a grant, with what it says ``about`` its answer.

    Where nothing but it is given (``alone``), the claims of the scope are in it (5.4).
    """
    issued_at = request.issued_at // SECOND
    token: dict[str, Any] = {
        "iss": server.settings.issuer,
        "sub": server.subjects.of(request.client, grant.sub),
        "aud": request.client.client_id,
        "exp": issued_at + server.settings.tokens.id_token_seconds,
        "iat": issued_at,
        "auth_time": grant.auth_time // SECOND,
        "acr": grant.acr,
        "amr": grant.amr.split(),
        **about,
    }
    if grant.sid is not None:
        token["sid"] = server.subjects.session_of(request.client, grant.sub, grant.sid)
    whole = alone or request.client.id_token_claims
    if whole or grant.claims is not None:
        token |= _profile(server, request.client, grant, request.granted_scope if whole else "")
    return write(server, request.client, token)


def write(server: "Server", client: Client, token: dict[str, Any]) -> str:
    """Sign an ID token and encrypt it, as the client has registered, and in this order (10.2, 16.14)."""
    signed = server.keys.sign(client.id_token_signed_response_alg, TYP, token)
    try:
        return encryption.as_registered(server, client, signed, "id_token")
    except encryption.NoKey:
        raise errors.InvalidRequest(errors.ENCRYPTION_KEY) from None


def half_hash(text: str, algorithm: str) -> str:
    """Return the left half of the hash that goes with a signature, as ``at_hash`` and its like have it (3.1.3.6)."""
    digest = _HASHES.get(algorithm, sha256)(text.encode()).digest()
    return b64(digest[: len(digest) // 2])


def _profile(server: "Server", client: Client, grant: Grant, scope: str) -> dict[str, Any]:
    """Return the claims of the user that belong into the ID token: by its scope, or by request (5.5)."""
    user = server.store.users.get(grant.sub)
    if user is None:
        return {}
    requested = claims_request.told(server, client, user, grant.claims, claims_request.ID_TOKEN)
    known = claims.of(server, user, scope) | requested
    return known | claims_locales.told(user, known, grant.claims)
