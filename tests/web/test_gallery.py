"""The gallery is complete: every branch of every template, every refusal, every status is on a page in it."""

import re
from collections.abc import Iterator
from html import unescape

import pytest

from authserver.identity import passwords
from authserver.oauth import errors as oauth_errors
from authserver.web.errors import BY_STATUS
from pytest_authserver import Page
from tests.web.gallery import PAGES, Gallery
from tests.web.gallery.watching import TEMPLATES, Watch, refusing_sites
from tools import translations

# What no form can send to a page: the command line says the one, and answers in JSON the other.
NO_PAGE = {passwords.NOT_TEXT, oauth_errors.REPEATED}


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


@pytest.fixture(scope="module")
def pages(watch: Watch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Page]]:
    """All pages, by their names."""
    gallery = Gallery(tmp_path_factory.mktemp("gallery"), watch=watch)
    with watch.watching_refusals():
        yield {name: way(gallery) for name, way in PAGES.items()}
    gallery.close()


def test_every_way_leads_to_a_page(pages: dict[str, Page]) -> None:
    elsewhere = [name for name, page in pages.items() if not page.headers["content-type"].startswith("text/html")]
    assert elsewhere == []


def test_every_branch_of_every_template_is_on_some_page(pages: dict[str, Page], watch: Watch) -> None:
    unseen = sorted(watch.branches - watch.met)
    assert unseen == [], "make a page of the gallery for these"
    named = {branch.partition(":")[0] for branch in watch.branches}
    assert named <= {path.relative_to(TEMPLATES).as_posix() for path in TEMPLATES.rglob("*.html")}


def test_every_refusal_in_the_source_is_on_some_page(pages: dict[str, Page], watch: Watch) -> None:
    """Whatever calls error_page, or raises what becomes one, was met, and its sentence read."""
    text = unescape(" ".join(page.text for page in pages.values()))
    met = {(site.where, site.line) for site, sentence in watch.refusals if f"<h1>{sentence}</h1>" in text}
    unseen = [str(site) for site, lines in refusing_sites() if not any((site.where, line) in met for line in lines)]
    assert unseen == [], "make a page of the gallery for these"


def test_every_status_of_the_table_is_on_some_page(pages: dict[str, Page]) -> None:
    seen = {(page.status, page.error_code) for page in pages.values()}
    assert {(status, words.code) for status, words in BY_STATUS.items()} <= seen


def test_every_text_that_is_translated_is_on_some_page(pages: dict[str, Page]) -> None:
    """Who translates it, or changes it, sees where it stands; and none is there that nobody reads."""
    everything = unescape(" ".join(page.text for page in pages.values()))
    forms = [(text.id, text.id if isinstance(text.id, tuple) else (text.id,)) for text in translations.texts()]
    unread = {text for text, ways in forms if not any(_pattern(way).search(everything) for way in ways)} - NO_PAGE
    assert unread == set(), "make a page of the gallery for these"


def test_every_page_is_kept_by_nobody_and_framed_by_nobody(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; "), name
        assert "frame-ancestors 'none'" in policy, name
        assert (page.headers["x-frame-options"], page.headers["x-content-type-options"]) == ("DENY", "nosniff"), name
        assert (page.headers["cache-control"], page.headers["referrer-policy"]) == ("no-store", "no-referrer"), name
        assert page.headers["content-language"] == "en", name


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*?".join(re.escape(unescape(part)) for part in re.split(r"%\(\w+\)[sd]", text)))
