"""The worked examples of docs/sessions.md, run as they stand there."""

from pathlib import Path

from pytest_authserver.live import serving
from pytest_authserver.server import PASSWORD
from tests import documented

PAGE = "sessions.md"


def test_an_administrator_sees_who_is_remembered_and_ends_that(tmp_path: Path):
    with serving(tmp_path, features={"management_api": True}) as at:
        user, manager = at.user("alice"), {"grant_types": ["client_credentials"], "redirect_uris": None}
        client = at.client(**manager, resources=[f"{at.issuer}/manage"], scope="manage:sessions")
        environment = {"ISSUER": at.issuer, "SUB": user.sub}
        environment |= {"CLIENT_ID": client.client_id, "CLIENT_SECRET": client.client_secret}
        for name, remember in (("laptop", True), ("library", False)):
            browser = at.browser()
            browser.http.headers["User-Agent"] = name
            browser.log_in(browser.visit("/login"), "alice", PASSWORD, remember=remember)
        listed = documented.run_shell(documented.blocks(PAGE, "sh")[0], **environment)
        assert set(listed.splitlines()) == {"laptop remembered", "library until the browser is closed"}
        assert documented.run_python(documented.blocks(PAGE, "python")[0], **environment) == "ended laptop"
        (left,) = at.store.sessions.of_user(user.sub, 0)
        assert left.user_agent == "library"
