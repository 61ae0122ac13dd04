"""What people read about scopes and claims, in the language of the page (OpenID Connect Core 1.0, 5.4, 5.5, 11).

https://openid.net/specs/openid-connect-core-1_0.html#ScopeClaims

A scope has a description, and perhaps a title. Those of OpenID Connect are translated by the catalogues; what an
administrator writes about a scope may be there in several languages (``description#de``). Of offline access (11) pages
speak where they say how long all of it holds.

Plugs into: ``oidc/consent.py``, ``web/account/apps.py``.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from authserver import tagged
from authserver.language import N_, Language, translations
from authserver.oidc import claims_request
from authserver.records import Resource, Scope

if TYPE_CHECKING:
    from authserver.oauth.server import Server


class Words(NamedTuple):
    """A title, empty where there is none, and a sentence."""

    title: str
    description: str


SCOPES: Final[Mapping[str, Words]] = MappingProxyType(
    {
        "openid": Words(N_("Identity"), N_("Confirm who you are")),
        "profile": Words(N_("Profile"), N_("See your profile: your name, picture and the like")),
        "email": Words(N_("E-mail address"), N_("See your e-mail address")),
        "address": Words(N_("Postal address"), N_("See your postal address")),
        "phone": Words(N_("Phone number"), N_("See your phone number")),
    }
)
_CLAIMS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "name": N_("See your name"),
        "family_name": N_("See your family name"),
        "given_name": N_("See your given name"),
        "middle_name": N_("See your middle name"),
        "nickname": N_("See your nickname"),
        "preferred_username": N_("See your user name"),
        "profile": N_("See the address of your profile page"),
        "picture": N_("See your picture"),
        "website": N_("See the address of your website"),
        "gender": N_("See your gender"),
        "birthdate": N_("See your date of birth"),
        "zoneinfo": N_("See your time zone"),
        "locale": N_("See your language"),
        "updated_at": N_("See when your profile was last changed"),
        "email": N_("See your e-mail address"),
        "email_verified": N_("See whether your e-mail address is confirmed"),
        "address": N_("See your postal address"),
        "phone_number": N_("See your phone number"),
        "phone_number_verified": N_("See whether your phone number is confirmed"),
    }
)


def of_all(server: "Server", language: Language) -> dict[str, Words]:
    """Return what is said about each scope value, and about each claim that is asked for by itself."""
    # Where no resource is named, the default one is meant (RFC 8707 2): it is the last to have its say.
    resources = sorted(server.resources(), key=lambda one: one.identifier == server.settings.audience)
    said = [of_resource(resource, language) for resource in resources]
    return {name: words for known in said for name, words in known.items()} | of_people(server, language)


def of_people(server: "Server", language: Language) -> dict[str, Words]:
    """Return what is said about the scope values, and claims, that are about the person."""
    gettext, ours = translations(language.name).gettext, server.settings.claim_scopes
    opened = {name: _said(Scope(name, one.description, one.texts), language) for name, one in ours.items()}
    return {
        **opened,
        **{name: Words(gettext(words.title), gettext(words.description)) for name, words in SCOPES.items()},
        # A claim of a scope of ours has its sentence: nobody has written one about the claim alone.
        **{
            claims_request.PREFIX + claim: opened[name]._replace(title="")
            for name, one in ours.items()
            for claim in one.claims
        },
        **{claims_request.PREFIX + name: Words("", gettext(sentence)) for name, sentence in _CLAIMS.items()},
    }


def of_resource(resource: Resource, language: Language) -> dict[str, Words]:
    """Return what is said about the scope values of a resource."""
    return {scope.name: _said(scope, language) for scope in resource.scopes}


def _said(scope: Scope, language: Language) -> Words:
    texts = {"description": scope.description, **scope.texts}
    return Words(*(tagged.in_language(texts, part, language.tag) or "" for part in Words._fields))
