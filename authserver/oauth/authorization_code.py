"""Authorization code grant (RFC 6749 4.1).

https://www.rfc-editor.org/rfc/rfc6749#section-4.1

A code is a state of its grant. Redeeming it is one conditional statement that names the client, so a stranger's attempt
changes nothing; the right client with a wrong verifier or redirect URI burns it. A second redemption revokes the grant
with everything issued from it (4.1.2, RFC 9700 4.5).

Plugs into: GRANTS, RESPONSE_TYPES, METADATA.
"""

from typing import TYPE_CHECKING, Any, Final

import orjson
from authlib.oauth2.rfc6749 import grants

from authserver.clock import SECOND, now
from authserver.crypto import Kind, digest, digest_of, new_handle, new_id, write_handle
from authserver.oauth import errors, issue, scope
from authserver.oauth.request import AuthorizationRequest, Request
from authserver.oauth.server import Issuing
from authserver.records import Grant, Session
from authserver.settings import Settings
from authserver.store.errors import Conflict

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"response_type", "state", "code"})
MAX_STATE: Final = 4096  # characters
_FAPI2_CODE: Final = 60  # seconds
_REUSE_SEEN: Final = 86400  # seconds after the last token's end in which a reused code is still told from rubbish


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce endpoint and response types (RFC 8414 2)."""
    return {
        "authorization_endpoint": f"{settings.issuer}/authorize",
        "response_types_supported": list(server.response_types),
    }


class RedeemedCode:
    """What Authlib checks of a code."""

    def __init__(self, grant: Grant, request: Request) -> None:
        self._grant = grant
        self._request = request

    def get_redirect_uri(self) -> str:
        """Return the redirect URI that the token request has to repeat (4.1.3).

        OAuth 2.1 drops the parameter from the token request where PKCE binds the code; sent, it still has to match.
        """
        bound = self._grant.code_challenge is not None and not self._request.client.require_redirect_uri
        return "" if bound and "redirect_uri" not in self._request.parameters else self._grant.redirect_uri

    def get_scope(self) -> str:
        """Return the scope of the grant."""
        return self._grant.scope


class AuthorizationCodeGrant(Issuing, grants.AuthorizationCodeGrant):  # type: ignore[misc] # Authlib's hooks are untyped
    """Authlib's grant over the seam."""

    def validate_token_request(self) -> None:
        """Redeem first and check then (4.1.3): a code that was tried with a wrong proof is gone."""
        self.check_grant_type()
        if "code" not in self.request.parameters:
            raise errors.InvalidRequest(errors.CODE_MISSING)
        try:
            super().validate_token_request()
        except errors.OAuth2Error as error:
            raise _with_fixed_text(error) from None
        self.run_checks()

    def query_authorization_code(self, code: str, client: Any) -> RedeemedCode | None:
        """Take the code, for this client only, at most once."""
        code_digest = digest_of(Kind.CODE, code)
        grant = self.server.store.grants.redeem(code_digest, client.client_id, self.binding()) if code_digest else None
        if grant is None or not client.check_redirect_uri(grant.redirect_uri):
            return None
        self.request.grant = grant
        self.request.granted_scope = scope.of_today(client, grant.scope)
        return RedeemedCode(grant, self.request)

    def authenticate_user(self, authorization_code: RedeemedCode) -> str | None:
        """Return the subject; ``redeem`` has proven that the account is in force."""
        del authorization_code
        return self.request.grant.sub if self.request.grant else None

    def generate_token(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Make the tokens of the answer (4.1.4)."""
        return issue.for_the_user(self.server, self.request)

    def save_token(self, token: dict[str, Any]) -> None:
        """Store the tokens of the answer in one transaction."""
        del token
        self.store_tokens()

    def delete_authorization_code(self, authorization_code: RedeemedCode) -> None:
        """Keep it: a redeemed code is how reuse is seen."""


def check_state(server: "Server", request: Request) -> None:
    """Bound the state (4.1.1): it is kept, and travels in a header; it is returned whole or not at all."""
    del server
    if len(request.parameters.get("state", "")) > MAX_STATE:
        request.parameters.pop("state")
        raise errors.InvalidRequest(errors.STATE)


def check_response_type(server: "Server", request: Request) -> None:
    """Check the response type (4.1.1, 3.1.1)."""
    response_type = request.parameters.get("response_type")
    if response_type is None:
        raise errors.InvalidRequest(errors.RESPONSE_TYPE_MISSING)
    if response_type not in server.response_types:
        raise errors.UnsupportedResponseType(errors.RESPONSE_TYPE_UNKNOWN)
    if not request.client.check_response_type(response_type) or (
        "code" in response_type and not request.client.check_grant_type("authorization_code")
    ):
        raise errors.UnauthorizedClient(errors.RESPONSE_TYPE_REFUSED)


def answer(server: "Server", request: AuthorizationRequest, session: Session, *, seed: bytes | None) -> dict[str, str]:
    """Answer an authorization request with a code (4.1.2)."""
    return {"code": open_grant(server, request, session, seed=seed)}


def open_grant(server: "Server", request: AuthorizationRequest, session: Session, *, seed: bytes | None) -> str:
    """Open the grant of an answered authorization request and return its code.

    ``seed`` (32 bytes) makes the code the same for a second submission of the same interaction.
    """
    text, code_digest = new_code(seed)
    grant = new_grant(server, request, session, new_id())
    try:
        server.store.grants.open(grant, code_digest, grant.created_at + code_seconds(server, request) * SECOND)
    except Conflict:
        if seed is None:
            raise
    return text


def new_code(seed: bytes | None) -> tuple[str, bytes]:
    """Return a code and its digest."""
    return new_handle(Kind.CODE) if seed is None else (write_handle(Kind.CODE, seed), digest(Kind.CODE, seed))


def new_grant(server: "Server", request: AuthorizationRequest, session: Session, grant_id: str) -> Grant:
    """Make the record of what a person has just allowed, in whatever way the client asked."""
    for step in server.registry.AUTHORIZE_GRANT:
        step(server, request)
    moment = now()
    return Grant(
        grant_id=grant_id,
        client_id=request.client_id,
        sub=session.sub,
        sid=session.sid,
        scope=request.scope,
        resources=" ".join(request.resources),
        redirect_uri=request.redirect_uri,
        nonce=request.nonce,
        code_challenge=request.code_challenge,
        claims=request.claims,
        authorization_details=request.authorization_details,
        cnf=None if request.dpop_jkt is None else orjson.dumps({"jkt": request.dpop_jkt}).decode(),
        auth_time=session.auth_time,
        acr=session.acr,
        amr=session.amr,
        offline=int("offline_access" in request.scope.split()),
        created_at=moment,
        expires_at=moment + _lifetime(server, request) * SECOND,
    )


def code_seconds(server: "Server", request: AuthorizationRequest) -> int:
    """Return the seconds a code lives."""
    client, seconds = server.query_client(request.client_id), server.settings.tokens.code_seconds
    # FAPI 2.0 Security Profile 5.3.2.1: "a maximum lifetime of 60 seconds".
    return min(seconds, _FAPI2_CODE) if client is not None and client.fapi2 else seconds


def _lifetime(server: "Server", request: AuthorizationRequest) -> int:
    """Return the seconds a grant lives: the whole refresh chain, or what code and access token take, and a day more."""
    tokens, client = server.settings.tokens, server.query_client(request.client_id)
    if client is not None and client.check_grant_type("refresh_token"):
        return tokens.refresh_token_absolute_seconds
    named = [resource.access_token_seconds or 0 for resource in server.resources()]
    return tokens.code_seconds + max(tokens.access_token_seconds, *named, 0) + _REUSE_SEEN


def _with_fixed_text(error: errors.OAuth2Error) -> errors.OAuth2Error:
    """Replace Authlib's description, which may quote the request."""
    if isinstance(error, errors.Refusal):
        return error
    if "redirect_uri" in (error.description or ""):
        return errors.InvalidGrant(errors.REDIRECT_URI_DIFFERS)
    return errors.InvalidGrant(errors.CODE_INVALID)
