import re

from authserver.web.pages import moment
from pytest_authserver import AuthServer, Page


def test_static_files_have_an_address_that_changes_with_their_content(authserver: AuthServer, login_page: Page) -> None:
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', login_page.text):
        assert "?v=" in address
        response = authserver.http().get(address)
        assert response.status_code == 200
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in response.headers


def test_without_the_version_a_static_file_is_kept_for_an_hour(authserver: AuthServer) -> None:
    assert authserver.http().get("/static/authserver.css").headers["cache-control"] == "public, max-age=3600"


def test_a_page_asks_nothing_of_any_other_host(login_page: Page, consent_page: Page) -> None:
    for page in (login_page, consent_page):
        assert re.findall(r'(?:href|src|action)="(?!/)[^"]*"', page.text) == []
        assert "style=" not in page.text
        assert "<script" not in page.text


def test_a_page_says_its_language_and_has_landmarks(login_page: Page) -> None:
    assert '<html lang="en" dir="ltr">' in login_page.text
    for element in ("<header", "<main", "<footer", "<h1>"):
        assert login_page.text.count(element) == 1
    assert len(re.findall(r"<label for=", login_page.text)) == 3


def test_a_moment_is_written_for_people_and_programs(authserver: AuthServer) -> None:
    with authserver.app.test_request_context():
        assert str(moment(0)) == '<time datetime="1970-01-01T00:00:00Z">1 Jan 1970, 00:00 UTC</time>'
        assert "5 Mar 2033, 07:09 UTC" in moment(1993619340 * 1_000_000)
