"""Requests: what applications ask the owner of the account behind the scenes (CIBA), and the answer."""

from flask import Response, abort, make_response, render_template, request, url_for

from authserver.oidc import ciba, consent
from authserver.oidc.ciba import Asked
from authserver.records import Client
from authserver.web import context, language
from authserver.web import security as protection
from authserver.web.account.visitor import Visitor, blueprint, sender, sign_in_again, sign_in_first, visitor
from authserver.web.client import client_view

_FORM = "requests"
_DONE = "requests.done"


@blueprint.get("/requests", endpoint="requests")
def show_all() -> Response:
    """List what waits, or say how the last one ended."""
    _check_feature()
    person = visitor()
    if person is None:
        return sign_in_first("account.requests")
    found = ciba.open_requests(context.server(), person.session)
    done, proof = request.args.get("done", ""), request.args.get("proof", "")
    page = render_template(
        "account/requests.html",
        session=person.session,
        waiting=[(asked, client_view(client, "")) for asked, client in found],
        done=done if protection.is_token(proof, _DONE, person.browser, done) else None,
    )
    return make_response(page)


@blueprint.get("/requests/<key>", endpoint="request")
def show(key: str) -> Response:
    """Show who asks for what, and the words to compare."""
    _check_feature()
    person = _person(key)
    if person is None:
        return sign_in_first("account.request", key=key)
    found = ciba.find(context.server(), key, person.session)
    return protection.see_other(url_for("account.requests")) if found is None else _page(person, *found)


@blueprint.post("/requests/<key>", endpoint="answer_request")
def submit(key: str) -> Response:
    """Take the answer; sending it twice is sending it once."""
    _check_feature()
    at, person, pressed = context.server(), sender(_FORM, key), request.form.get("decision")
    if person is None:
        return sign_in_first("account.request", key=key)
    # A page that was shown to one account, about one request, answers that one for that account alone.
    person.check(_FORM, key)
    if pressed not in {"allow", "deny"}:
        abort(400)
    found = ciba.find(at, key, person.session)
    if found is None:
        return _told(person, ciba.decision(at, key, person.session) or "over")
    if pressed == "allow" and ciba.needs_sign_in(at, found[0], person.session):
        return sign_in_again(person.session, "account.request", key=key)
    stands = ciba.decide(at, *found, person.session, allow=pressed == "allow")
    return _told(person, pressed if stands else "over")


def _check_feature() -> None:
    if not context.server().settings.features.ciba:
        abort(404)


def _person(key: str) -> Visitor | None:
    """Return the person who is asked, of several the one whose account it is: the page names it."""
    person, at = visitor(), context.server()
    if person is None or len(context.sessions()) == 1 or ciba.find(at, key, person.session) is not None:
        return person
    asked = (session for session in context.sessions() if ciba.find(at, key, session) is not None)
    return Visitor(person.browser, next(asked, person.session))


def _told(person: Visitor, done: str) -> Response:
    """Send somebody to the list, which says how their answer ended."""
    proof = protection.form_token(_DONE, person.browser, done)
    return protection.see_other(url_for("account.requests", done=done, proof=proof))


def _page(person: Visitor, asked: Asked, client: Client) -> Response:
    at, page = context.server(), url_for("account.request", key=asked.key)
    again = ciba.needs_sign_in(at, asked, person.session)
    shown = render_template(
        "account/request.html",
        client=client_view(client, ""),
        waiting=asked,
        asked=consent.asked(at, client, asked.request, person.session, language.spoken()),
        session=person.session,
        way={"account": person.session.sid, **protection.way_on(person.browser, page)} if again else None,
        token=person.token(_FORM, asked.key),
    )
    return make_response(shown)
