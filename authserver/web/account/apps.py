"""Applications: what each was allowed, since when, and taking it back."""

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Response, make_response, render_template, request, url_for

from authserver.identity import accounts
from authserver.oauth.server import Server
from authserver.oidc import claims_request, sentences
from authserver.oidc.sentences import Words
from authserver.web import context, language
from authserver.web import security as protection
from authserver.web.account.visitor import blueprint, sender, sign_in_first, visitor
from authserver.web.client import name_of


@dataclass(slots=True)
class App:
    """An application that was allowed something."""

    client_id: str
    name: str
    since: int
    allowed: dict[str, None]  # in words
    resources: dict[str, None]
    offline: bool = False


@blueprint.get("/apps", endpoint="apps")
def show() -> Response:
    """List the applications."""
    person = visitor()
    if person is None:
        return sign_in_first("account.apps")
    page = render_template(
        "account/apps.html",
        session=person.session,
        apps=apps_of(context.server(), person.session.sub),
        token=person.token("apps"),
    )
    return make_response(page)


@blueprint.post("/apps", endpoint="withdraw")
def submit() -> Response:
    """Take back what an application was allowed: tokens and remembered consent end at once."""
    person = sender("apps")
    if person is None:
        return sign_in_first("account.apps")
    person.check("apps")
    accounts.withdraw(context.server(), person.session.sub, request.form.get("client_id", ""))
    return protection.see_other(url_for("account.apps"))


def apps_of(server: Server, sub: str) -> list[App]:
    """Return the applications with a remembered consent or a grant in force, the newest first."""
    found: dict[str, App] = {}
    words = sentences.of_all(server, language.spoken())
    for consent in server.store.consents.of_user(sub):
        app = _add(server, found, consent.client_id, consent.created_at, consent.resource)
        app.allowed.update(_in_words(words | _words_at(server, consent.resource), consent.scope.split()))
    for grant in server.store.grants.of_user(sub):
        app = _add(server, found, grant.client_id, grant.created_at, *grant.resources.split())
        single = claims_request.values(server, grant.scope, grant.claims)
        there = words | _words_at(server, *grant.resources.split())
        app.allowed.update(_in_words(there, [*grant.scope.split(), *single]))
        app.offline = app.offline or bool(grant.offline)
    return sorted(found.values(), key=lambda app: -app.since)


def _words_at(server: Server, *identifiers: str) -> dict[str, Words]:
    # Two resources may call different things by one name.
    spoken, found = language.spoken(), filter(None, map(server.resource, identifiers))
    return {name: said for resource in found for name, said in sentences.of_resource(resource, spoken).items()}


def _in_words(words: Mapping[str, Words], named: list[str]) -> dict[str, None]:
    # What concerns the person first, in the order of the consent page.
    ordered = [*(name for name in sentences.SCOPES if name in named), *named]
    return dict.fromkeys(
        words[name].description if name in words else name for name in ordered if name != "offline_access"
    )


def _add(server: Server, found: dict[str, App], client_id: str, since: int, *resources: str) -> App:
    app = found.get(client_id)
    if app is None:
        client = server.store.clients.get(client_id)
        name = name_of(client) if client else client_id
        app = found[client_id] = App(client_id, name, since, {}, {})
    app.since = min(app.since, since)
    for identifier in filter(None, resources):
        resource = server.resource(identifier)
        app.resources[resource.name if resource else identifier] = None
    return app
