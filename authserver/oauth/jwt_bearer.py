"""JSON Web Token (JWT) Profile for OAuth 2.0 Authorization Grants (RFC 7523, sections 2.1 and 3).

https://www.rfc-editor.org/rfc/rfc7523

Another issuer vouches for a person: a client shows its signed assertion here and gets an access token for the account
that the assertion names. Which issuers are believed, where their keys are and what their subjects are called here, the
settings say (``trusted_issuers``). An assertion is short-lived and good once, and the client has to prove itself, too.
There is no refresh token: the other issuer is asked again (RFC 7521 4.1). How the person has signed in there is not
repeated: a resource that wants to know has to send its caller here.

Plugs into: GRANTS, ASSERTIONS, PARAMETERS.
"""

import logging
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from authlib.oauth2 import rfc6749
from joserfc.jwk import Key

from authserver import audit, jwt
from authserver.clock import now
from authserver.extension_sections import TrustedIssuer
from authserver.manage import client_metadata
from authserver.oauth import client_auth, errors, issue, scope
from authserver.oauth.request import Request
from authserver.oauth.server import Issuing
from authserver.records import Client, Grant, User
from authserver.store.users import canonical

if TYPE_CHECKING:
    from authserver.oauth.server import Server

logger = logging.getLogger(__name__)

FEATURE: Final = "jwt_bearer"
PARAMETERS: Final = frozenset({"assertion"})
PLAIN: Final = "jwt"  # also where the header names no type
_LONGEST: Final = 256  # characters of a name
_WITH_ITS_TOKEN: Final = 2**62  # the end of a grant, until ``issue.open_grant`` knows that of its token


class Allowed(NamedTuple):
    """What an assertion allows; None where it says nothing, so that the client's registration decides alone."""

    scope: str | None = None
    resources: tuple[str, ...] | None = None


class JWTBearerGrant(Issuing, rfc6749.BaseGrant, rfc6749.TokenEndpointMixin):  # type: ignore[misc] # Authlib's hooks are untyped
    """The grant (2.1)."""

    GRANT_TYPE = client_metadata.JWT_BEARER

    def validate_token_request(self) -> None:
        """Check client, assertion and account (3), scope and resource; the assertion is not used up yet."""
        self.check_grant_type()
        server, request = self.server, self.request
        if request.client.public:
            # 3.1 lets a server ask for client authentication: whoever finds an assertion cannot use it.
            raise errors.UnauthorizedClient(errors.GRANT_TYPE_REFUSED)
        if "assertion" not in request.parameters:
            raise errors.InvalidRequest(errors.ASSERTION_MISSING)
        # Before the account is looked at: whoever is switched off from now on is seen when the grant is opened.
        moment = now()
        try:
            self._parsed = jwt.parse(request.parameters["assertion"])
            self._issuer = issuer = _trusted(server, request.client, self._parsed)
            jwt.verify(self._parsed, _key(server, issuer, self._parsed), jwt.ASYMMETRIC)
            allowed = _check(server, request, issuer, self._parsed)
            self._user = _account(server, issuer, self._parsed.claims)
        except jwt.InvalidJWT as error:
            raise _refused(request.client, error) from None
        request.granted_scope = _scope(server, request, allowed.scope)
        asked = request.payload.lists.get("resource", ())
        resources = asked if allowed.resources is None else allowed.resources
        request.grant = _grant(request, self._user, resources, moment)
        self.run_checks()
        # Of what the assertion names, only what was chosen and checked is kept.
        request.grant = request.grant._replace(scope=request.token_scope, resources=request.audience)

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:  # type: ignore[override] # no text yet
        """Use the assertion up, and issue (RFC 7521 4.1)."""
        server, request, user = self.server, self.request, self._user
        try:
            # DECISIONS, Faults: what mints tokens when it is used twice is remembered in the database.
            client_auth.use_once(server.store.single_use, "jwt-bearer", self._issuer.issuer, self._parsed)
        except jwt.InvalidJWT as error:
            raise _refused(request.client, error) from None
        body = issue.prepare(server, request, subject=user.sub)
        if not issue.open_grant(server, request):
            raise errors.InvalidGrant(errors.ASSERTION_INVALID)
        client_id, facts = request.client.client_id, {"issuer": self._issuer.issuer, "audience": request.audience}
        audit.record(server.store, "assertion.accepted", client_id, client_id=client_id, sub=user.sub, facts=facts)
        self.store_tokens()
        return 200, body, self.TOKEN_RESPONSE_HEADER


def plain(server: "Server", request: Request, claims: dict[str, Any]) -> Allowed:
    """Check nothing more of an assertion without a profile: what it allows is what the client may ask for."""
    del server, request, claims
    return Allowed()


def _trusted(server: "Server", client: Client, parsed: jwt.Parsed) -> TrustedIssuer:
    """Return the issuer as the settings know it for this type of assertion (3, items 1 and 9); raises InvalidJWT."""
    iss, typ = jwt.text(parsed.claims, "iss"), jwt.media_type(parsed) or PLAIN
    for issuer in server.settings.trusted_issuers:
        if (issuer.issuer, issuer.typ) == (iss, typ) and client.client_id in (issuer.clients or {client.client_id}):
            return issuer
    msg = "the issuer is not trusted for this"
    raise jwt.InvalidJWT(msg)


def _key(server: "Server", issuer: TrustedIssuer, parsed: jwt.Parsed) -> Key:
    if issuer.jwks_file is not None:
        return client_auth.choose_key(_read_keys(issuer.jwks_file), parsed)
    return client_auth.choose_key(server.outbound.issuer_keys(issuer.issuer, issuer.jwks_uri or "", parsed), parsed)


@lru_cache(maxsize=64)
def _read_keys(file: Path) -> Mapping[str, Any]:
    try:
        return jwt.read_key_set(file.read_bytes())
    except OSError:
        msg = "the key set of the issuer cannot be read"
        raise jwt.InvalidJWT(msg) from None


def _check(server: "Server", request: Request, issuer: TrustedIssuer, parsed: jwt.Parsed) -> Allowed:
    """Check what an assertion says (3, items 2 to 8), and what its profile wants; raises InvalidJWT."""
    profile = server.registry.ASSERTIONS.get(issuer.typ)
    ours = {server.settings.issuer, *server.settings.urls_of(server.token_endpoint)}
    client_auth.check_claims(parsed, ours if issuer.audience is None else {issuer.audience})
    claims = parsed.claims
    jwt.text(claims, "sub")
    wrong = (
        profile is None
        or claims.get("tenant") != issuer.tenant
        or claims.get("client_id", request.client.client_id) != request.client.client_id
        or ("cnf" in claims and not request.proves(claims["cnf"]))
    )
    if wrong or profile is None:
        msg = "the assertion is for somebody else, or its key was not proven"
        raise jwt.InvalidJWT(msg)
    allowed: Allowed = profile(server, request, claims)
    return allowed


def _account(server: "Server", issuer: TrustedIssuer, claims: dict[str, Any]) -> User:
    """Return the account that the assertion names (3, item 2); raises InvalidJWT."""
    name, users = jwt.text(claims, issuer.subject_claim), server.store.users
    user = None
    if len(name) <= _LONGEST and name.isprintable():
        user = users.get(name) if issuer.account == "sub" else users.by_login(name)
    if user is None or user.disabled_at is not None or not _is_named(user, name, issuer, claims):
        msg = "the assertion names no account"
        raise jwt.InvalidJWT(msg)
    return user


def _is_named(user: User, name: str, issuer: TrustedIssuer, claims: dict[str, Any]) -> bool:
    """Say whether it is the very kind of name that the issuer's subjects are: an address is not somebody's name."""
    if issuer.account == "username":
        return canonical(user.username) == canonical(name)
    if issuer.account == "email":
        # An address counts only where both sides have seen that it is the person's.
        known = user.email_verified and claims.get("email_verified") is True
        return known and user.email is not None and canonical(user.email) == canonical(name)
    return user.sub == name


def _scope(server: "Server", request: Request, said: str | None) -> str:
    """Return the scope: what the assertion says, as far as the client may have it, or what the client asks for."""
    if said is None:
        values = scope.requested(server, request.client, request.scope).split()
    else:
        values = scope.narrowed(scope.of_today(request.client, " ".join(scope.split(said))), request.scope).split()
    # Without a refresh token nothing goes on when the person has left.
    values = [value for value in values if value != "offline_access"]
    if not values:
        raise errors.InvalidScope(errors.SCOPE_NONE)
    return " ".join(values)


def _grant(request: Request, user: User, resources: tuple[str, ...], moment: int) -> Grant:
    """Make the grant that everything issued here hangs on: it ends with the token, the user and the client."""
    client_id, named = request.client.client_id, " ".join(resources)
    return issue.unattended_grant(client_id, user.sub, request.granted_scope, named, moment, _WITH_ITS_TOKEN)


def _refused(client: Client, error: jwt.InvalidJWT) -> errors.InvalidGrant:
    """Return the one error for all that may be wrong with an assertion (3.1); the log says which it was."""
    logger.info("assertion refused: %s", error, extra={"client_id": client.client_id})
    return errors.InvalidGrant(errors.ASSERTION_INVALID)
