"""Response modes: query, fragment, form_post; successes and errors alike."""

from urllib.parse import urlsplit

import pytest

from authserver.manage.errors import InvalidMetadata
from authserver.records import User
from pytest_authserver import AuthServer, RegisteredClient
from tests.world import ask, assert_sent_back, code_of

AWKWARD = "a b+c/d=e&f%20g?h#i\r\nX-Injected: 1\N{SNOWMAN}\"'<script>"


def test_the_answer_is_in_the_query_by_default(authserver: AuthServer, client: RegisteredClient, alice: User):
    for mode in (None, "", "query"):
        page = ask(authserver, client, alice, response_mode=mode)
        assert urlsplit(code_of(page) and page.location).fragment == ""


def test_the_answer_is_in_the_fragment_where_that_is_asked_for(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice, response_mode="fragment", state=AWKWARD)
    assert urlsplit(page.location).query == ""
    assert page.callback.keys() == {"code", "state", "iss"}
    assert page.callback["state"] == AWKWARD


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_errors_go_out_in_the_mode_that_was_asked_for(
    authserver: AuthServer, client: RegisteredClient, alice: User, mode: str
):
    page = ask(authserver, client, alice, response_mode=mode, response_type="token", state=AWKWARD)
    if mode == "form_post":
        assert page.location is None
        form = page.form("error")
        assert form.action == client.redirect_uri
        answer = form.fields
    else:
        assert_sent_back(page, "unsupported_response_type", client)
        assert bool(urlsplit(page.location).fragment) is (mode == "fragment")
        answer = page.callback
    assert answer["error"] == "unsupported_response_type"
    assert answer["state"] == AWKWARD
    assert answer["iss"] == authserver.issuer


@pytest.mark.parametrize("mode", ["JWT", "query.JWT", "jwt.query", "web_message", "Query", "form_post ", "\N{SNOWMAN}"])
def test_an_unknown_mode_is_refused_in_the_default_mode(
    authserver: AuthServer, client: RegisteredClient, alice: User, mode: str
):
    page = ask(authserver, client, alice, response_mode=mode, state="s")
    assert_sent_back(page, "invalid_request", client, state="s")
    assert urlsplit(page.location).fragment == ""


@pytest.mark.parametrize("mode", ["query", "fragment"])
def test_what_the_client_sent_cannot_break_out_of_the_location(
    authserver: AuthServer, client: RegisteredClient, alice: User, mode: str
):
    page = ask(authserver, client, alice, response_mode=mode, state=AWKWARD)
    assert page.callback["state"] == AWKWARD
    assert page.location is not None
    assert page.location.isascii()
    assert page.location.isprintable()
    assert "x-injected" not in page.headers


def test_the_redirect_is_a_303_without_referrer_that_nobody_keeps_9700_4_12(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice)
    assert page.status == 303
    assert page.headers["cache-control"] == "no-store"
    assert "no-referrer" in page.headers["referrer-policy"]


def test_form_post_is_a_page_that_posts_to_the_client_and_works_without_script(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice, response_mode="form_post", state=AWKWARD)
    assert page.status == 200
    assert page.location is None
    assert page.headers["content-type"].startswith("text/html")
    assert "no-store" in page.headers["cache-control"]
    form = page.form("code")
    assert (form.method, form.action) == ("post", client.redirect_uri)
    # HTML normalises line ends in attributes only when they are written raw.
    assert form.fields == {"code": form.fields["code"], "state": AWKWARD, "iss": authserver.issuer}
    assert "<script>" not in page.text.replace('<script nonce="', "")
    assert form.buttons or "<button" in page.text


def test_form_post_lets_its_own_script_and_its_own_target_through(
    authserver: AuthServer, client: RegisteredClient, alice: User
):
    page = ask(authserver, client, alice, response_mode="form_post")
    policy = page.headers["content-security-policy"]
    nonce = page.text.partition('<script nonce="')[2].partition('"')[0]
    assert f"'nonce-{nonce}'" in policy
    assert "unsafe" not in policy
    assert "form-action 'self' https://client.test" in policy


def test_a_code_by_form_post_can_be_redeemed(authserver: AuthServer, client: RegisteredClient, alice: User):
    pkce = authserver.pkce()
    page = ask(authserver, client, alice, response_mode="form_post", code_challenge=pkce.challenge)
    parameters = {"code": page.form("code").fields["code"], "code_verifier": pkce.verifier}
    assert authserver.token(client, grant_type="authorization_code", **parameters).status_code == 200


# FAPI 2.0 Message Signing: clients that are registered for some modes (signed ones: see test_jarm.py).


def test_a_client_may_use_only_the_modes_that_it_is_registered_for(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, response_modes=["query", "form_post"])
    assert code_of(ask(authserver, client, alice))
    assert ask(authserver, client, alice, response_mode="form_post").form("code")
    for mode in ("fragment", "jwt", "form_post.jwt", "x"):
        page = ask(authserver, client, alice, response_mode=mode, state="s")
        assert_sent_back(page, "invalid_request", client, state="s")


def test_the_default_mode_is_refused_where_it_is_not_registered(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, response_modes=["fragment"])
    page = ask(authserver, client, alice)
    assert_sent_back(page, "invalid_request", client)
    assert urlsplit(page.location).fragment, "in the mode that the client expects"
    assert code_of(ask(authserver, client, alice, response_mode="fragment"))


def test_a_client_without_any_mode_gets_no_code(authserver: AuthServer, alice: User):
    client = authserver.client(trusted=True, response_modes=[])
    for mode in (None, "query", "jwt"):
        assert_sent_back(ask(authserver, client, alice, response_mode=mode), "invalid_request", client)


@pytest.mark.parametrize("modes", ["jwt", ["jwt", "web_message"], [1], {"query": 1}, [["query"]]])
def test_other_modes_are_not_registered(authserver: AuthServer, modes: object):
    with pytest.raises(InvalidMetadata):
        authserver.client(response_modes=modes)
