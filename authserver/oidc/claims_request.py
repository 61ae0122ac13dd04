"""Requesting claims with the ``claims`` parameter (OpenID Connect Core 1.0, 5.5).

https://openid.net/specs/openid-connect-core-1_0.html#ClaimsParameter

A scope asks for a bundle of claims. Here a client names single ones, and says whether they come from userinfo or in the
ID token. It gets those that belong to a scope it may have: nobody learns more by asking piece by piece. What is not
known of a user is left out, essential or not (5.5.1); a demanded ``acr`` or ``sub`` decides who may answer at all.

Plugs into: AUTHORIZE_CHECK, METADATA, PARAMETERS; ``oidc/consent.py``, ``oidc/id_token.py``, ``oidc/userinfo.py``,
``web/account/apps.py``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver.jwt import parse_json
from authserver.oauth import errors
from authserver.oauth.request import Request
from authserver.oidc import claims, step_up
from authserver.records import Client, User
from authserver.settings import Settings
from authserver.tagged import untagged

if TYPE_CHECKING:
    from authserver.oauth.server import Server

PARAMETERS: Final = frozenset({"claims"})
USERINFO: Final = "userinfo"
ID_TOKEN: Final = "id_token"
PREFIX: Final = "claim:"
"""Before the name of a claim where consent keeps it among scope values."""
_MAX_SIZE: Final = 4096  # characters
_MAX_NESTED: Final = 200
_MAX_VALUES: Final = 20


def metadata(server: "Server", settings: Settings) -> dict[str, Any]:
    """Announce the parameter (OpenID Connect Discovery 1.0, 3)."""
    del server, settings
    return {"claims_parameter_supported": True}


def check(server: "Server", request: Request) -> None:
    """Read the parameter (5.5) and what it demands of the sign-in (5.5.1.1)."""
    text = request.parameters.get("claims")
    if text is None:
        return
    asked = _read(text)
    _demand_subject(server, request, asked)
    _demand_acr(request, asked.get(ID_TOKEN, {}).get("acr"))
    allowed = claims.of_scopes(server, request.client.scopes)
    kept = {
        # 5.5.2: a claim may be asked for in a language, by its name with the tag.
        place: {name: _condition(wish) for name, wish in asked.get(place, {}).items() if untagged(name) in allowed}
        for place in (USERINFO, ID_TOKEN)
    }
    if any(kept.values()):
        request.asked_claims = _written(kept)


def values(server: "Server", scope: str, requested: str | None) -> tuple[str, ...]:
    """Return what of a claims request goes beyond a scope, in the form of scope values: people hear of it, too."""
    if requested is None:
        return ()
    covered = claims.of_scopes(server, scope.split())
    asked = orjson.loads(requested)
    names = dict.fromkeys(map(untagged, (*asked[USERINFO], *asked[ID_TOKEN])))
    return tuple(PREFIX + name for name in names if name not in covered)


def told(server: "Server", client: Client, user: User, requested: str | None, place: str) -> dict[str, Any]:
    """Return the claims that were requested for ``place`` (userinfo or id_token); ``requested`` is a grant's."""
    if requested is None:
        return {}
    wanted = orjson.loads(requested)[place]
    # The client may have been deprived of some of it since, as of its scope (``scope.of_today``).
    opened = frozenset(claims.of_scopes(server, client.scopes))
    found = claims.named(user, (name for name in wanted if untagged(name) in opened))
    # 5.5.1: "requested to be returned with a particular value", so with another one it is not what was asked for.
    return {name: value for name, value in found.items() if wanted[name] is None or value in wanted[name]}


def _read(text: str) -> dict[str, dict[str, Any]]:
    readable = len(text) <= _MAX_SIZE and text.count("{") + text.count("[") <= _MAX_NESTED
    value: Any = parse_json(text.encode(errors="replace")) if readable else None
    if not isinstance(value, dict):
        raise errors.InvalidRequest(errors.CLAIMS)
    # 5.5: "Other members MAY be present. Any members used that are not understood MUST be ignored."
    asked = {place: value[place] for place in (USERINFO, ID_TOKEN) if place in value}
    if not all(isinstance(wishes, dict) and all(map(_is_wish, wishes.values())) for wishes in asked.values()):
        raise errors.InvalidRequest(errors.CLAIMS)
    return asked


def _is_wish(wish: Any) -> bool:
    """Say whether this is null, or an object of the form of 5.5.1."""
    if wish is None:
        return True
    if not isinstance(wish, dict) or not isinstance(wish.get("essential", False), bool):
        return False
    wanted = wish.get("values", [])
    return isinstance(wanted, list) and len(wanted) <= _MAX_VALUES


def _written(kept: dict[str, dict[str, Any]]) -> str:
    try:
        return orjson.dumps(kept).decode()
    except TypeError:
        # A number of more than 64 bits, which two readers would understand in two ways (RFC 8259 6).
        raise errors.InvalidRequest(errors.CLAIMS) from None


def _condition(wish: Mapping[str, Any] | None) -> list[Any] | None:
    """Return the values of which a claim has to have one, or None for any."""
    if wish is None or not {"value", "values"} & wish.keys():
        return None
    return [wish["value"]] if "value" in wish else list(wish["values"])


def _demand_subject(server: "Server", request: Request, asked: Mapping[str, Mapping[str, Any]]) -> None:
    """Let only this user answer, as ``id_token_hint`` does (3.1.2.2, 5.5.1)."""
    demands = [_condition(wishes.get("sub")) for wishes in asked.values()]
    for wanted in demands:
        if wanted is None:
            continue
        if len(wanted) != 1 or not isinstance(wanted[0], str):
            raise errors.InvalidRequest(errors.CLAIMS)
        sub = server.subjects.find(request.client, wanted[0])
        if request.hinted_sub not in {None, sub}:
            raise errors.InvalidRequest(errors.CLAIMS)
        request.hinted_sub = sub


def _demand_acr(request: Request, wish: Mapping[str, Any] | None) -> None:
    """Take the classes of authentication of which one is wished for, or has to be met (5.5.1.1)."""
    wanted = _condition(wish)
    if wish is None or wanted is None:
        return
    known = tuple(dict.fromkeys(value for value in wanted if value in step_up.ACRS))
    if not wish.get("essential", False):
        request.acr_values = tuple(dict.fromkeys((*known, *request.acr_values)))
    elif known:
        request.acr_values = request.essential_acrs = known
    else:
        raise errors.UnmetAuthenticationRequirements(errors.ACR)
