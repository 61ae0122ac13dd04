from authserver import clock
from authserver.clock import HOUR, SECOND
from authserver.crypto import Kind, read_handle
from authserver.identity import sessions
from authserver.identity.sessions import Visit, live_sessions, new_browser, read_browser, rotate_browser
from authserver.records import Event, User
from authserver.settings import Settings
from pytest_authserver import AuthServer


def _enter(at: AuthServer, visit: Visit, user: User) -> tuple[str, Visit]:
    sid, browser = sessions.sign_in(at.server, visit, user.sub, acr="urn:authserver:pwd", amr="pwd")
    return sid, visit._replace(browser=browser)


def test_the_cookie_is_named_for_its_scheme() -> None:
    assert sessions.cookie_name(Settings(issuer="https://id.example")) == "__Host-authserver"
    assert sessions.cookie_name(Settings(development=True)) == "authserver"


def test_a_rotated_cookie_is_the_same_browser_with_another_secret() -> None:
    browser = new_browser()
    fresh = rotate_browser(browser)
    assert fresh.id == browser.id
    assert fresh.cookie != browser.cookie
    assert fresh.digest != browser.digest
    assert read_browser(fresh.cookie) == fresh


def test_what_is_not_a_cookie_of_ours_is_no_browser() -> None:
    good = new_browser().cookie
    raw = read_handle(Kind.BROWSER, good)
    assert raw is not None
    other_kind = good.replace("asb_", "asr_")
    for cookie in (None, "", "x", good[:-1], good + "A", good * 100, other_kind, good.swapcase(), "\ud800", "é" * 53):
        assert read_browser(cookie) is None


def test_the_names_of_browsers_do_not_show_their_cookies() -> None:
    browser = new_browser()
    assert browser.id not in browser.cookie
    assert browser.cookie[4:20] not in browser.id


def test_the_cookie_from_before_the_sign_in_opens_nothing_after_it(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    _, after = _enter(authserver, visit, alice)
    assert live_sessions(authserver.server, visit.browser) == ()
    assert [session.sub for session in live_sessions(authserver.server, after.browser)] == [alice.sub]


def test_a_second_account_in_the_browser_keeps_the_first_and_moves_both(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    bob = authserver.user("bob")
    _, first = _enter(authserver, visit, alice)
    _, second = _enter(authserver, first, bob)
    assert live_sessions(authserver.server, first.browser) == ()
    assert [session.username for session in live_sessions(authserver.server, second.browser)] == ["bob", "alice"]


def test_the_same_account_again_keeps_its_session_with_a_new_proof(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    sid, first = _enter(authserver, visit, alice)
    before = live_sessions(authserver.server, first.browser)[0]
    with authserver.later(60):
        again, second = _enter(authserver, first, alice)
        (session,) = live_sessions(authserver.server, second.browser)
        assert live_sessions(authserver.server, first.browser) == ()
    assert again == sid == session.sid
    assert session.auth_time >= before.auth_time + 60 * SECOND
    assert session.created_at == before.created_at


def test_an_ended_session_is_not_brought_back_by_signing_in_again(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    sid, first = _enter(authserver, visit, alice)
    sessions.end_by_id(authserver.server, alice.sub, sid, "user")
    again, second = _enter(authserver, first, alice)
    assert again != sid
    assert [session.sid for session in live_sessions(authserver.server, second.browser)] == [again]


def test_a_session_that_idles_is_over(authserver: AuthServer, alice: User, visit: Visit) -> None:
    _, after = _enter(authserver, visit, alice)
    with authserver.later(12 * 3600 - 5):
        assert live_sessions(authserver.server, after.browser)
    with authserver.later(24 * 3600):
        assert live_sessions(authserver.server, after.browser) == ()


def test_use_keeps_a_session_alive_until_its_absolute_end(authserver: AuthServer, alice: User, visit: Visit) -> None:
    """ASVS 7.3: single sign-on keeps a session busy, and it ends nevertheless."""
    _, after = _enter(authserver, visit, alice)
    for hours in range(0, 30 * 24, 11):
        with authserver.later(hours * 3600):
            assert live_sessions(authserver.server, after.browser), hours
    with authserver.later(30 * 24 * 3600 + 1):
        assert live_sessions(authserver.server, after.browser) == ()


def test_use_is_noted_once_a_minute_at_the_most(authserver: AuthServer, alice: User, visit: Visit) -> None:
    _, after = _enter(authserver, visit, alice)
    began = clock.now()
    with authserver.later(30):
        live_sessions(authserver.server, after.browser)
        assert live_sessions(authserver.server, after.browser)[0].seen_at <= began
    with authserver.later(90):
        live_sessions(authserver.server, after.browser)
        assert live_sessions(authserver.server, after.browser)[0].seen_at > began


def test_a_disabled_account_has_no_session_in_any_browser(authserver: AuthServer, alice: User, visit: Visit) -> None:
    _, after = _enter(authserver, visit, alice)
    authserver.store.users.set_disabled(alice.sub, True, Event("user.disabled", "test", sub=alice.sub))
    assert live_sessions(authserver.server, after.browser) == ()
    authserver.store.users.set_disabled(alice.sub, False, Event("user.enabled", "test", sub=alice.sub))
    assert live_sessions(authserver.server, after.browser) == ()


def test_ending_the_others_leaves_this_one(authserver: AuthServer, alice: User, visit: Visit) -> None:
    _, here = _enter(authserver, visit, alice)
    _, there = _enter(authserver, visit._replace(browser=new_browser()), alice)
    (session,) = live_sessions(authserver.server, here.browser)
    sessions.end_others(authserver.server, session)
    assert live_sessions(authserver.server, here.browser) == (session,)
    assert live_sessions(authserver.server, there.browser) == ()


def test_what_a_browser_says_of_itself_is_kept_short_and_printable(
    authserver: AuthServer, alice: User, visit: Visit
) -> None:
    noisy = visit._replace(user_agent="Fire\x00fox\r\n\x1b[31m" + "x" * 10_000)
    _, after = _enter(authserver, noisy, alice)
    text = live_sessions(authserver.server, after.browser)[0].user_agent
    assert text.startswith("Firefox[31mx")
    assert len(text) <= 256


def test_the_absolute_end_is_that_of_the_settings(authserver: AuthServer, alice: User, visit: Visit) -> None:
    _, after = _enter(authserver, visit, alice)
    session = live_sessions(authserver.server, after.browser)[0]
    assert session.expires_at - session.created_at <= 30 * 24 * HOUR + SECOND
