"""Requests: what applications ask the owner of the account behind the scenes (CIBA), and the answer."""

from flask import Response, abort, make_response, render_template, request, url_for

from authserver.oidc import ciba, consent
from authserver.oidc.ciba import Asked
from authserver.records import Client
from authserver.web import context
from authserver.web import security as protection
from authserver.web.account.visitor import Visitor, blueprint, sign_in_again, visitor
from authserver.web.client import client_view

_FORM = "requests"
_DONE = "requests.done"


@blueprint.get("/requests", endpoint="requests")
def show_all() -> Response:
    """List what waits, or say how the last one ended."""
    _check_feature()
    person = visitor()
    if person is None:
        return sign_in_again(url_for("account.requests"))
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
    person = visitor()
    if person is None:
        return sign_in_again(url_for("account.request", key=key))
    found = ciba.find(context.server(), key, person.session)
    return protection.see_other(url_for("account.requests")) if found is None else _page(person, *found)


@blueprint.post("/requests/<key>", endpoint="answer_request")
def submit(key: str) -> Response:
    """Take the answer; sending it twice is sending it once."""
    _check_feature()
    at, person, pressed = context.server(), visitor(), request.form.get("decision")
    if person is None:
        return sign_in_again(url_for("account.request", key=key))
    # A page that was shown to one account, about one request, answers that one for that account alone.
    protection.check_form(_FORM, person.browser, f"{key} {person.session.sid}")
    if pressed not in {"allow", "deny"}:
        abort(400)
    found = ciba.find(at, key, person.session)
    if found is None:
        return _told(person, ciba.decision(at, key, person.session) or "over")
    if pressed == "allow" and ciba.needs_sign_in(at, found[0], person.session):
        return sign_in_again(url_for("account.request", key=key))
    stands = ciba.decide(at, *found, person.session, allow=pressed == "allow")
    return _told(person, pressed if stands else "over")


def _check_feature() -> None:
    if not context.server().settings.features.ciba:
        abort(404)


def _told(person: Visitor, done: str) -> Response:
    """Send somebody to the list, which says how their answer ended."""
    proof = protection.form_token(_DONE, person.browser, done)
    return protection.see_other(url_for("account.requests", done=done, proof=proof))


def _page(person: Visitor, asked: Asked, client: Client) -> Response:
    at = context.server()
    again = ciba.needs_sign_in(at, asked, person.session)
    page = render_template(
        "account/request.html",
        client=client_view(client, ""),
        waiting=asked,
        asked=consent.asked(at, client, asked.request, person.session),
        session=person.session,
        way=protection.way_on(person.browser, url_for("account.request", key=asked.key)) if again else None,
        token=protection.form_token(_FORM, person.browser, f"{asked.key} {person.session.sid}"),
    )
    return make_response(page)
