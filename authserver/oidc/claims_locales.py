"""Claims in several languages and scripts (OpenID Connect Core 1.0, 5.2).

https://openid.net/specs/openid-connect-core-1_0.html#ClaimsLanguagesAndScripts

An account may have what people read of it in several languages and scripts: ``name`` and beside it ``name#ja-Kana-JP``,
``name#ja-Hani-JP``. A client that asks for some of them in ``claims_locales`` gets those in addition, wherever it gets
the claim itself; nobody else hears of them, and what the claim without a tag says never changes. A single one is asked
for by its whole name in the ``claims`` parameter (5.5.2).

It is not said which languages there are (``claims_locales_supported``): that depends on whose account it is.

Plugs into: AUTHORIZE_CHECK; ``oidc/id_token.py``, ``oidc/userinfo.py``, ``manage/users.py`` by ``tagged.py``.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from authserver import language, tagged
from authserver.manage import standard_claims
from authserver.oauth.request import Request
from authserver.records import User

if TYPE_CHECKING:
    from authserver.oauth.server import Server

MEMBER: Final = "locales"
"""Beside the places of a claims request, in the form in which a grant keeps it."""


def check(server: "Server", request: Request) -> None:
    """Read ``claims_locales`` (3.1.2.1); what is no language tag is ignored, as is what nothing has."""
    del server
    wanted = language.tags(request.parameters.get("claims_locales", ""))
    if wanted:
        kept = orjson.loads(request.asked_claims) if request.asked_claims else {"userinfo": {}, "id_token": {}}
        request.asked_claims = orjson.dumps({**kept, MEMBER: wanted}).decode()


def told(user: User, names: Iterable[str], requested: str | None) -> dict[str, Any]:
    """Return what these claims say in the languages that were asked for; ``requested`` is a grant's."""
    wanted = orjson.loads(requested).get(MEMBER, ()) if requested else ()
    if not wanted:
        return {}
    said = _said(user)
    return {member: user.claims[member] for name in names for member in _matching(said.get(name, {}), wanted)}


def _said(user: User) -> dict[str, dict[str, str]]:
    """Sort the members with a tag: claim → tag → member."""
    said: dict[str, dict[str, str]] = {}
    for member, value in user.claims.items():
        name = tagged.untagged(member)
        if name != member and value is not None and standard_claims.problem(member, value) is None:
            said.setdefault(name, {})[member.removeprefix(f"{name}#")] = member
    return said


def _matching(said: Mapping[str, str], wanted: Iterable[str]) -> Iterator[str]:
    """Find the members for these languages: all within a range (RFC 4647 3.3.1), else the nearest (3.4)."""
    for wish in wanted:
        within = [tag for tag in said if f"{tag}-".lower().startswith(f"{wish}-".lower())]
        nearest = None if within else language.best([wish], said)
        yield from (said[tag] for tag in (within or filter(None, [nearest])))
