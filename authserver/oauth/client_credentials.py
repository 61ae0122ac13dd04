"""Client credentials grant (RFC 6749 4.4): a client acts for itself.

https://www.rfc-editor.org/rfc/rfc6749#section-4.4

The token's subject is the client (RFC 9068 2.2); there is no grant record, no refresh token and no ID token.

Plugs into: GRANTS.
"""

from typing import Any

from authlib.oauth2.rfc6749 import grants

from authserver.oauth import errors, issue, scope
from authserver.oauth.server import Issuing


class ClientCredentialsGrant(Issuing, grants.ClientCredentialsGrant):  # type: ignore[misc] # Authlib's hooks are untyped
    """Authlib's grant over the seam."""

    def validate_token_request(self) -> None:
        """Check client, scope and resource (4.4.2)."""
        self.check_grant_type()
        if self.request.client.public:
            # 4.4: "MUST only be used by confidential clients".
            raise errors.UnauthorizedClient(errors.GRANT_TYPE_REFUSED)
        request = self.request
        if request.scope is not None or not request.asked_details:
            request.granted_scope = scope.requested_by_itself(self.server, request.client, request.scope)
        self.run_checks()

    def generate_token(self, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
        """Issue the access token (4.4.3)."""
        issue.prepare(self.server, self.request, subject=self.request.client.client_id)
        return issue.respond(self.server, self.request)

    def save_token(self, token: dict[str, Any]) -> None:
        """Store what has a row; a JWT has none."""
        del token
        self.store_tokens()
