"""Initiating User Registration via OpenID Connect 1.0: ``prompt=create`` shows the page on which accounts are made.

https://openid.net/specs/openid-connect-prompt-create-1_0.html

A client that knows that its visitor wants an account says so, and nobody has to look for the link on the sign-in page.
Who has an account after all may sign in from there (4.1 leaves that open), but by a new proof: a session that was here
before answers no request for an account. The client learns who came back, not whether the account is new.

Plugs into: PROMPTS, AUTHORIZE_CHECK, ``oidc/interaction.py``.
"""

from typing import TYPE_CHECKING, Final

from authserver.oauth import errors
from authserver.oauth.request import AuthorizationRequest, Request

if TYPE_CHECKING:
    from authserver.oauth.server import Server

FEATURE: Final = "signup"
CREATE: Final = "create"
# "login" wants an account that is there, "select_account" one that is signed in; "consent" is asked of anybody, and no
# offline access is given without it (OpenID Connect Core 11).
_TOGETHER: Final = frozenset({CREATE, "consent"})


def check(server: "Server", request: Request) -> None:
    """Refuse what excludes a new account: other prompts, or a user who is named already (4)."""
    del server
    if CREATE not in request.prompt:
        return
    if not _TOGETHER.issuperset(request.prompt) or request.hinted_sub is not None:
        raise errors.InvalidRequest(errors.PROMPT)


def comes_first(server: "Server", request: AuthorizationRequest) -> bool:
    """Say whether the request begins with the sign-up page (4.1); no longer where that was closed in the meantime."""
    return CREATE in request.prompt and server.settings.in_force.signup
