"""Step-up (RFC 9470) through the BFF: the API's challenge, the new log-in, and an end where it does not help."""

import time
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from sqlalchemy import create_engine

from bff import create_app
from bff.step_up import Demand, challenged, demand
from tests.bff.browser import Browser, error_code
from tests.bff.database import rows
from tests.bff.stub import Stub

MFA = "urn:authserver:mfa"
CHALLENGE = f'Bearer realm="x", error="insufficient_user_authentication", acr_values="{MFA}", max_age="300"'


@pytest.fixture
def logged_in(browser: Browser) -> Browser:
    browser.log_in()
    browser.stub.challenge = CHALLENGE
    browser.stub.api_calls.clear()
    return browser


def _step_up(browser: Browser, **claims: object) -> str:
    """Begin the log-in that the page is told of; gives the path of the callback."""
    told = browser.api("/api/notes/strong").json
    query = urlsplit(told["login_url"]).query
    asked = browser.start(f"?{query}&{urlencode({'return_to': '/notes'})}")
    browser.stub.id_token_claims = {"acr": MFA, "auth_time": int(time.time()), **claims}
    return browser.answered(asked)


# Section 3: the challenge


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (CHALLENGE, Demand(MFA, 300)),
        (f'Bearer error="insufficient_user_authentication", acr_values="{MFA} phr"', Demand(f"{MFA} phr", None)),
        ("Bearer error=insufficient_user_authentication, max_age=5", Demand(None, 5)),
        ('bearer ERROR="insufficient_user_authentication",MAX_AGE="0"', Demand(None, 0)),
        (f'DPoP error="insufficient_user_authentication", acr_values="{MFA}", algs="ES256"', Demand(MFA, None)),
        (
            f'Basic realm="a, b=\\"c\\"", Bearer error="insufficient_user_authentication", acr_values="{MFA}"',
            Demand(MFA, None),
        ),
        (
            f'Negotiate, Bearer error="insufficient_user_authentication", acr_values="{MFA}", DPoP algs="ES256"',
            Demand(MFA, None),
        ),
        ('Bearer error="insufficient_user_authentication", acr_values="a\\"b", max_age="7"', Demand(None, 7)),
        ('Bearer error="insufficient_user_authentication"', None),
        ('Bearer error="invalid_token", acr_values="x"', None),
        ('Bearer realm="insufficient_user_authentication", acr_values="x"', None),
        ('Basic error="insufficient_user_authentication", acr_values="x"', None),
        ('Bearer error="insufficient_user_authentication", max_age="-1"', None),
        ('Bearer error="insufficient_user_authentication", max_age="1e9"', None),
        ('Bearer error="insufficient_user_authentication", max_age="\u0661"', None),
        ('Bearer error="insufficient_user_authentication", acr_values="a\r\nb"', None),
        ('Bearer error="insufficient_user_authentication", acr_values=" a  b "', None),
        ('Bearer error="insufficient_user_authentication", acr_values="' + "a" * 600 + '"', None),
        ('Bearer error="insufficient_user_authentication', None),
        ("=" * 4000, None),
        (" ," * 2000, None),
        ("a " * 2000, None),
        ('"' * 4000, None),
        ("x" * 5000 + CHALLENGE, None),
        ("", None),
    ],
)
def test_a_challenge_is_read_and_nothing_is_made_of_another(header: str, wanted: Demand | None):
    assert challenged([("content-type", "x"), ("www-authenticate", header)]) == wanted


def test_the_first_challenge_that_asks_for_it_counts_among_several_headers():
    assert challenged([("www-authenticate", "Negotiate"), ("www-authenticate", CHALLENGE)]) == Demand(MFA, 300)


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [(("a", None), Demand("a", None)), ((None, "10"), Demand(None, 10)), (("", ""), None), (("é", "x"), None)],
)
def test_what_a_page_sends_is_checked_as_well(sent: tuple[str | None, str | None], wanted: Demand | None):
    assert demand(*sent) == wanted


def test_the_page_is_told_where_to_go_and_the_token_is_not_wasted(logged_in: Browser):
    answer = logged_in.api("/api/notes/strong", "DELETE")
    assert answer.status_code == 403
    assert answer.json["error"] == "step_up_needed"
    assert parse_qs(urlsplit(answer.json["login_url"]).query) == {"acr_values": [MFA], "max_age": ["300"]}
    assert len(logged_in.stub.api_calls) == 1
    assert logged_in.stub.refreshes == 0
    assert logged_in.api("/api/notes").status_code == 200


def test_another_401_is_handled_as_before(logged_in: Browser):
    logged_in.stub.challenge = 'Bearer error="invalid_token"'
    assert logged_in.api("/api/notes/strong").json["error"] == "api_refused_token"


# Section 4: the new authorization request


def test_the_new_request_carries_what_the_api_wants_and_leads_back(logged_in: Browser):
    callback = _step_up(logged_in)
    assert logged_in.asked["acr_values"] == [MFA]
    assert logged_in.asked["max_age"] == ["300"]
    before = logged_in.cookie()
    answer = logged_in.get(callback)
    assert answer.headers["Location"] == "http://localhost:9002/notes"
    assert logged_in.cookie() != before
    logged_in.stub.challenge = ""
    assert logged_in.api("/api/notes/strong").status_code == 200


def test_an_ordinary_request_carries_neither(browser: Browser):
    assert {"acr_values", "max_age"}.isdisjoint(browser.start())
    assert {"acr_values", "max_age"}.isdisjoint(browser.start("?acr_values=%22&max_age=x"))


def test_another_site_cannot_begin_it_unasked(logged_in: Browser):
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    answer = logged_in.http.get("/bff/login?acr_values=x", base_url=logged_in.base, headers=headers)
    assert answer.status_code == 200


# No circles


@pytest.mark.parametrize(
    "claims",
    [
        {"acr": "urn:authserver:pwd"},
        {"acr": None},
        {"acr": 1},
        {"acr": [MFA]},
        {"auth_time": None},
        {"auth_time": "now"},
        {"auth_time": True},
        {"auth_time": 1_000_000_000},
    ],
)
def test_a_log_in_that_is_not_what_was_wanted_ends_on_a_page_and_the_session_stays(
    logged_in: Browser, claims: dict[str, object]
):
    before = logged_in.cookie()
    answer = logged_in.get(_step_up(logged_in, **claims))
    assert answer.status_code == 400
    assert error_code(answer.text) == "unmet_authentication_requirements"
    assert "/bff/login" not in answer.text
    assert logged_in.cookie() == before
    assert logged_in.api("/api/notes").status_code == 200
    assert logged_in.stub.revoked


def test_a_provider_that_says_so_itself_ends_on_the_same_page(logged_in: Browser):
    callback = _step_up(logged_in)
    state = parse_qs(urlsplit(callback).query)["state"][0]
    query = {"error": "unmet_authentication_requirements", "state": state, "iss": logged_in.stub.issuer}
    answer = logged_in.get(f"/bff/callback?{urlencode(query)}")
    assert error_code(answer.text) == "unmet_authentication_requirements"


def test_an_ordinary_log_in_takes_any_class(browser: Browser):
    browser.stub.id_token_claims = {"acr": "whatever", "auth_time": 1}
    browser.log_in()
    assert browser.api("/api/notes").status_code == 200


def test_a_database_of_an_earlier_version_gets_the_columns(stub: Stub, tmp_path: Path):
    url = f"sqlite:///{tmp_path}/bff.db"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE bff_logins (state_digest TEXT PRIMARY KEY, browser_digest TEXT NOT NULL, nonce TEXT NOT NULL,"
            " sealed_verifier TEXT NOT NULL, return_to TEXT NOT NULL, created_at BIGINT NOT NULL,"
            " expires_at BIGINT NOT NULL)"
        )
    engine.dispose()
    for _ in range(2):
        made = create_app(stub.settings(url))
        browser = Browser(made, stub)
        browser.start(f"?acr_values={MFA}")
        made.extensions["bff"].close()
    assert rows
