"""Profile: what the account says about its owner, and what applications may be told."""

from typing import Any, Final

from flask import Response, make_response, render_template

from authserver.language import N_
from authserver.records import User
from authserver.web import context
from authserver.web.account.visitor import blueprint, sign_in_first, visitor

# OpenID Connect Core 5.1, in the order of the page.
_LABELS: Final = {
    "name": N_("Name"),
    "given_name": N_("Given name"),
    "family_name": N_("Family name"),
    "nickname": N_("Nickname"),
    "phone_number": N_("Phone number"),
    "website": N_("Website"),
    "birthdate": N_("Date of birth"),
    "zoneinfo": N_("Time zone"),
    "locale": N_("Language"),
}


@blueprint.get("", endpoint="profile")
def show() -> Response:
    """Show the profile."""
    person = visitor()
    user = context.server().store.users.get(person.session.sub) if person else None
    if person is None or user is None:
        return sign_in_first()
    return make_response(render_template("account/profile.html", user=user, facts=_facts(user), session=person.session))


def _facts(user: User) -> list[tuple[str, Any]]:
    facts = [(label, user.claims[name]) for name, label in _LABELS.items() if isinstance(user.claims.get(name), str)]
    address = user.claims.get("address")
    if isinstance(address, dict) and isinstance(address.get("formatted"), str):
        facts.append((N_("Address"), address["formatted"]))
    return facts
