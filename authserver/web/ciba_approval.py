"""For test suites only: an address at which a CIBA request is decided without its user.

Mounted only where the setting ``ciba.test_approval`` is on, which the settings refuse outside of ``--development`` on
loopback. Who knows an ``auth_req_id`` decides here in the name of its user, after a sign-in that never was.
"""

from typing import Final

from flask import Blueprint, Response, abort, request

from authserver.identity import login, sessions
from authserver.identity.sessions import Visit
from authserver.oidc import ciba
from authserver.web import context

blueprint = Blueprint("ciba_approval", __name__)

PATH: Final = "/test/ciba-approval"


@blueprint.post(PATH)
def decide() -> Response:
    """Take ``auth_req_id`` and ``action`` (allow or deny) from the URL, as conformance suites send them."""
    at, action = context.server(), request.args.get("action")
    asked = ciba.find_code(at, request.args.get("auth_req_id", ""))
    if asked is None or action not in {"allow", "deny"}:
        abort(400)
    visit = Visit(sessions.new_browser(), "test approval", "")
    sid, browser = sessions.sign_in(at, visit, asked.sub, acr=login.ACR_PASSWORD, amr=login.AMR_PASSWORD)
    session = next((one for one in sessions.live_sessions(at, browser) if one.sid == sid), None)
    found = ciba.find(at, asked.key, session) if session is not None else None
    if session is None or found is None or not ciba.decide(at, *found, session, allow=action == "allow"):
        abort(409)
    return Response(status=204)
