"""Security: changing the password, and the way to the second factor."""

from flask import Response, make_response, render_template, request, url_for

from authserver.identity import accounts, second_factor, sessions
from authserver.identity.accounts import Refused
from authserver.web import context
from authserver.web import security as protection
from authserver.web.account.visitor import Visitor, blueprint, sender, sign_in_first, visitor


@blueprint.get("/security", endpoint="security")
def show() -> Response:
    """Show the form."""
    person = visitor()
    done = next((word for word in ("changed", "added", "removed") if word in request.args), None)
    return sign_in_first("account.security") if person is None else _form(person, done=done)


@blueprint.post("/security", endpoint="change_password")
def submit() -> Response:
    """Change the password; the browser gets a new cookie, every other one has to sign in again."""
    at, person = context.server(), sender("password")
    if person is None:
        return sign_in_first("account.security")
    person.check("password")
    sent = {name: request.form.get(name, "") for name in ("current", "new", "repeat")}
    refused = accounts.change_password(at, person.session, person.browser, **sent)
    if refused is not None:
        return _form(person, refused=refused)
    response = protection.see_other(url_for("account.security", changed=1))
    protection.set_browser_cookie(response, at.settings, sessions.renew_cookie(at, person.browser))
    return response


def _form(person: Visitor, *, refused: Refused | None = None, done: str | None = None) -> Response:
    page = render_template(
        "account/security.html",
        session=person.session,
        token=person.token("password"),
        refused=refused,
        done=done,
        enrolled=second_factor.is_enrolled(context.server(), person.session.sub),
    )
    if refused is None:
        return make_response(page)
    response = make_response(page, 429 if refused.wait else 400)
    if refused.wait:
        response.headers["Retry-After"] = str(refused.wait)
    return response
