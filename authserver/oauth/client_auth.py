"""Client authentication (RFC 6749 2.3; RFC 7523 2.2, 3; OpenID Connect Core 9), exactly one method per request.

https://www.rfc-editor.org/rfc/rfc6749#section-2.3

It runs first and once, for every grant and endpoint: proofs are not verified for strangers, and a failed attempt takes
no code and no token. ``client_secret_basic`` and ``client_secret_post`` are one family, because stock clients use
either.

Plugs into: CLIENT_AUTH, METADATA.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_plus

from joserfc.errors import JoseError
from joserfc.jwk import Key, KeySet, OctKey

from authserver import jwt
from authserver.clock import SECOND, now
from authserver.crypto import client_secret_digest, open_client_secret, same
from authserver.limits import Exceeded
from authserver.manage.profiles import CERTIFICATE_METHODS, PROFILES
from authserver.oauth import errors
from authserver.oauth.parameters import is_vschar
from authserver.oauth.request import Request
from authserver.records import Client
from authserver.settings import Settings
from authserver.store.ephemeral import Ephemeral

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"client_id", "client_secret", "client_assertion", "client_assertion_type"})
JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"  # RFC 7523 2.2
SECRET_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post"})
_SKEW: Final = 60  # seconds of clock difference that other parties may have
_LIFETIME: Final = 3600  # seconds that an assertion may be valid
_JTI: Final = 256  # longest jti
_TYPES: Final = frozenset({None, "jwt", "client-authentication+jwt"})
# Where "none" proves nothing it is not offered: introspection tells about other people's tokens (RFC 7662 2.1).
_WITHOUT_NONE: Final = frozenset({"introspection"})


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce methods and algorithms per endpoint (RFC 8414 2)."""
    # RFC 8705 2.1: a chain can be checked only where its authority is known.
    missing = {"tls_client_auth"} if settings.mtls.ca_file is None else set()
    methods = sorted(server.registry.CLIENT_AUTH.keys() - missing)
    algorithms = [*sorted(jwt.ASYMMETRIC), "HS256"]
    document: dict[str, Any] = {}
    for endpoint in ("token", "revocation", "introspection"):
        offered = [method for method in methods if method != "none" or endpoint not in _WITHOUT_NONE]
        document[f"{endpoint}_endpoint_auth_methods_supported"] = offered
        document[f"{endpoint}_endpoint_auth_signing_alg_values_supported"] = algorithms
    return document


def authenticate(server: "Server", request: Request, endpoint: str = "token") -> None:
    """Prove the client by the one method that the request uses; raises InvalidClient or InvalidRequest."""
    method = _method(server, request)
    client = server.registry.CLIENT_AUTH[method](server, request)
    if client is None:
        raise errors.InvalidClient(errors.NOT_AUTHENTICATED)
    named = request.parameters.get("client_id")
    if (named is not None and named != client.client_id) or (method == "none" and endpoint in _WITHOUT_NONE):
        raise errors.InvalidClient(errors.NOT_AUTHENTICATED)
    request.client = client
    request.auth_method = method


def secret_basic(server: "Server", request: Request) -> Client | None:
    """Authenticate by HTTP Basic with form-encoded credentials (RFC 6749 2.3.1)."""
    client_id, secret = _read_basic(request.headers["Authorization"])
    return _by_secret(server, request, client_id, secret, "client_secret_basic")


def secret_post(server: "Server", request: Request) -> Client | None:
    """Authenticate by credentials in the body (RFC 6749 2.3.1)."""
    sent = request.parameters
    return _by_secret(server, request, sent.get("client_id", ""), sent["client_secret"], "client_secret_post")


def none(server: "Server", request: Request) -> Client | None:
    """Identify a public client by its ``client_id`` alone (RFC 6749 3.2.1)."""
    client = known_client(server, request.parameters.get("client_id", ""))
    return client if client is not None and client.public else None


def assertion(server: "Server", request: Request) -> Client | None:
    """Authenticate by ``private_key_jwt`` or ``client_secret_jwt`` (RFC 7523 3)."""
    if request.parameters.get("client_assertion_type") != JWT_BEARER:
        return None
    try:
        parsed = jwt.parse(request.parameters.get("client_assertion", ""))
        # 3: iss and sub are both the client; which one is asked decides whose key counts, never the header.
        client = known_client(server, jwt.text(parsed.claims, "sub"))
        if client is None or jwt.text(parsed.claims, "iss") != client.client_id:
            return None
        _verify(server, client, parsed)
        _check_assertion(server, request, client, parsed)
    except jwt.InvalidJWT:
        return None
    return client


def known_client(server: "Server", client_id: str) -> Client | None:
    """Return the client of this name, if there is one and it is not disabled."""
    if not client_id or not is_vschar(client_id):
        return None
    client = server.query_client(client_id)
    return client if client is not None and client.disabled_at is None else None


def _method(server: "Server", request: Request) -> str:
    sent = request.parameters
    header = request.headers.get("Authorization")
    used = [
        method
        for method, there in (
            ("client_secret_basic", header is not None),
            ("private_key_jwt", "client_assertion" in sent or "client_assertion_type" in sent),
            ("client_secret_post", "client_secret" in sent),
        )
        if there
    ]
    # RFC 6749 2.3: "The client MUST NOT use more than one authentication method in each request."
    if len(used) > 1:
        raise errors.InvalidRequest(errors.TWO_METHODS)
    if used or request.certificate is None:
        return used[0] if used else "none"
    # RFC 8705 2: a certificate authenticates the client that is registered so; beside anything else it is no method.
    client = known_client(server, sent.get("client_id", ""))
    registered = client.token_endpoint_auth_method if client is not None else "none"
    return registered if registered in CERTIFICATE_METHODS & server.registry.CLIENT_AUTH.keys() else "none"


def _by_secret(server: "Server", request: Request, client_id: str, secret: str, method: str) -> Client | None:
    client = known_client(server, client_id)
    if client is None or not secret:
        return None
    try:
        server.limits.check_client(client_id, request.address)
    except Exceeded as limit:
        raise errors.SlowDown(limit.retry_after) from None
    registered = client.token_endpoint_auth_method
    allowed = registered == method or (registered in SECRET_METHODS and not client.auth_method_pinned)
    if allowed and _is_secret(client, secret):
        return client
    server.limits.count_client_failure(client_id, request.address)
    return None


def _is_secret(client: Client, secret: str) -> bool:
    presented, moment = client_secret_digest(secret), now()
    # Every secret is compared, so that the time does not tell which one of several it was.
    found = [
        known.digest is not None and same(presented, known.digest)
        for known in client.secrets
        if known.expires_at is None or moment < known.expires_at
    ]
    return any(found)


def _read_basic(header: str) -> tuple[str, str]:
    scheme, _, credentials = header.partition(" ")
    if scheme.lower() != "basic":
        raise errors.InvalidClient(errors.NOT_AUTHENTICATED)
    try:
        client_id, _, secret = b64decode(credentials.strip(), validate=True).decode().partition(":")
        # 2.3.1 and Appendix B: each half is form-encoded; decoded exactly once.
        return unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (ValueError, Base64Error):
        raise errors.InvalidClient(errors.NOT_AUTHENTICATED) from None


def _verify(server: "Server", client: Client, parsed: jwt.Parsed) -> None:
    method, pinned = client.token_endpoint_auth_method, client.token_endpoint_auth_signing_alg
    if method == "client_secret_jwt":
        _verify_shared(server, client, parsed)
    elif method == "private_key_jwt":
        accepted = PROFILES[client.profile].algorithms
        algorithms = frozenset({pinned}) & accepted if pinned else accepted
        jwt.verify(parsed, server.client_key(client, parsed), algorithms)
    else:
        msg = "the client is registered for another method"
        raise jwt.InvalidJWT(msg)


def _verify_shared(server: "Server", client: Client, parsed: jwt.Parsed) -> None:
    """Check the signature under each secret of the client: while one is rotated there are several."""
    moment = now()
    for known in client.secrets:
        if known.sealed is not None and (known.expires_at is None or moment < known.expires_at):
            key = OctKey.import_key(open_client_secret(server.sealer, client.client_id, known.sealed))
            with suppress(jwt.InvalidJWT):
                return jwt.verify(parsed, key, frozenset({"HS256"}))
    msg = "signed with no secret of the client"
    raise jwt.InvalidJWT(msg)


def choose_key(members: Mapping[str, Any], parsed: jwt.Parsed) -> Key:
    """Return the key of a client's set that the header's ``kid`` names, or the only one; raises InvalidJWT."""
    try:
        imported = KeySet.import_key_set(dict(members)).keys  # type: ignore[arg-type] # checked when it was registered
    except (JoseError, ValueError, TypeError, KeyError):
        msg = "the client's key set is not valid"
        raise jwt.InvalidJWT(msg) from None
    keys = [key for key in imported if key.get("use") != "enc"]  # RFC 7517 4.2
    kid = parsed.header.get("kid")
    found = [key for key in keys if key.kid == kid] if kid is not None else keys
    if len(found) != 1 or isinstance(found[0], OctKey):
        msg = "no key, or more than one, fits the assertion"
        raise jwt.InvalidJWT(msg)
    return found[0]


def _check_assertion(server: "Server", request: Request, client: Client, parsed: jwt.Parsed) -> None:
    good_audiences = {server.settings.issuer, server.token_endpoint, *server.settings.urls_of(request.endpoint)}
    if client.fapi2:
        # FAPI 2.0 Security Profile 5.3.2.1: the issuer alone, "as a string"; an array has another meaning elsewhere.
        good_audiences = {server.settings.issuer} if isinstance(parsed.claims.get("aud"), str) else set()
    # RFC 8725 3.11: another kind of JWT with the right claims is not an assertion.
    if jwt.media_type(parsed) not in _TYPES:
        msg = "the type is not an assertion's"
        raise jwt.InvalidJWT(msg)
    check_claims(parsed, good_audiences)
    memory = server.store.ephemeral
    use_once(memory, "client-assertion", client.client_id, parsed)
    # DECISIONS, Faults: what was made before the memory of used ones may have been used before it (a flushed Redis; the
    # database forgets nothing). Asked after the look-up, because what is lost in between counts, too.
    issued_at = jwt.seconds(parsed.claims, "iat")
    made_at = (jwt.seconds(parsed.claims, "exp") or 0) - _LIFETIME if issued_at is None else issued_at
    if memory is not server.store.single_use and made_at * SECOND < memory.born_at():
        msg = "the assertion is older than the memory of used ones"
        raise jwt.InvalidJWT(msg)


def check_claims(parsed: jwt.Parsed, good_audiences: Collection[str]) -> None:
    """Check whom an assertion of any kind is meant for, and when (RFC 7523 3); raises InvalidJWT."""
    claims, moment = parsed.claims, now() // SECOND
    expires_at, issued_at = jwt.seconds(claims, "exp"), jwt.seconds(claims, "iat")
    not_before, jti = jwt.seconds(claims, "nbf"), jwt.text(claims, "jti")
    if (
        not all(audience in good_audiences for audience in jwt.audiences(claims))
        or expires_at is None
        or not moment - _SKEW < expires_at <= moment + _LIFETIME
        or (not_before is not None and not_before > moment + _SKEW)
        or (issued_at is not None and issued_at > moment + _SKEW)
        or len(jti) > _JTI
    ):
        msg = "the assertion's claims are not accepted"
        raise jwt.InvalidJWT(msg)


def use_once(memory: Ephemeral, space: str, maker: str, parsed: jwt.Parsed) -> None:
    """Take an assertion whose claims are checked, the first time that it comes (RFC 7523 3); raises InvalidJWT."""
    expires_at = jwt.seconds(parsed.claims, "exp") or 0
    once = sha256(f"{maker}\0{jwt.text(parsed.claims, 'jti')}".encode()).hexdigest()
    if not memory.first_time(space, once, (expires_at + _SKEW) * SECOND):
        msg = "the assertion was used before"
        raise jwt.InvalidJWT(msg)
