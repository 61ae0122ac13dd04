"""Which tokens a description of the revocation feed means."""

import json

import pytest

from resourceserver.access_token import AccessToken, read_access_token
from resourceserver.descriptions import LINGER, Descriptions, Verdict

GOOD, DEAD, UNSURE = Verdict.GOOD, Verdict.DEAD, Verdict.UNSURE
NOW = 1_000_000.0


def token(**members: object) -> AccessToken:
    usual = {"sub": "u", "client_id": "c", "jti": "g.1", "iat": 1000, "exp": int(NOW) + 600}
    claims = {name: value for name, value in (usual | members).items() if value is not None}
    return read_access_token(claims, "https://as.example", checked_by="keys", token_format="jwt")


@pytest.fixture
def known() -> Descriptions:
    return Descriptions(100)


def tell(known: Descriptions, moment: float = 5.0, *, expires_at: object = NOW + 9999, **members: object) -> None:
    known.add(json.dumps(members | {"expires_at": expires_at}).encode(), moment, NOW)


def judge(known: Descriptions, asked: float | None = None, now: float = NOW, **members: object) -> Verdict:
    return known.judge(token(**members), asked, now)


@pytest.mark.parametrize(
    ("members", "meant", "spared"),
    [
        ({"grant_id": "g"}, {}, {"jti": "h.1"}),
        ({"grant_id": "g"}, {"jti": "g.1.2"}, {"jti": "g"}),
        ({"jti": "g.1"}, {}, {"jti": "g.2"}),
        ({"sub": "u"}, {}, {"sub": "v"}),
        ({"client_id": "c"}, {}, {"client_id": "d"}),
        ({"sub": "u", "client_id": "c"}, {}, {"client_id": "d"}),
        ({"sub": "u", "granted": True}, {}, {"jti": "x"}),
        ({"grant_id": "g", "sub": "u"}, {}, {"sub": "v"}),
        ({"client_id": "c", "issued_before": 1001.5}, {"iat": 1000}, {"iat": 1007}),
    ],
)
def test_a_token_is_meant_when_all_members_fit(
    known: Descriptions, members: dict[str, object], meant: dict[str, object], spared: dict[str, object]
) -> None:
    tell(known, **members)
    assert judge(known, **meant) is DEAD
    assert judge(known, **spared) is GOOD


def test_in_the_second_of_the_revocation_nobody_can_say(known: Descriptions) -> None:
    tell(known, sub="u", issued_before=1001.000001)
    assert [judge(known, iat=second) for second in (1000, 1001, 1006, 1007)] == [DEAD, UNSURE, UNSURE, GOOD]


def test_of_two_descriptions_of_the_same_tokens_the_wider_one_counts_in_either_order(known: Descriptions) -> None:
    tell(known, sub="u", issued_before=2000)
    tell(known, sub="u", issued_before=1500)
    tell(known, sub="v", issued_before=1500)
    tell(known, sub="v")
    assert judge(known, iat=1700) is DEAD
    assert judge(known, sub="v", iat=1700) is DEAD
    assert len(known) == 2


def test_who_was_asked_after_the_event_has_known_of_it(known: Descriptions) -> None:
    tell(known, moment=5.0, sub="u")
    assert [judge(known, asked) for asked in (4.9, 5.0, 5.1)] == [DEAD, DEAD, GOOD]
    tell(known, moment=8.0, sub="somebody else")
    assert [judge(known, asked) for asked in (4.9, 5.1)] == [DEAD, GOOD]


def test_a_reset_trusts_no_answer_from_before_and_forgets_the_rest(known: Descriptions) -> None:
    tell(known, moment=5.0, sub="u")
    known.reset(6.0)
    assert [judge(known, asked) for asked in (5.5, 6.5)] == [UNSURE, GOOD]
    assert judge(known) is GOOD


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b'{"sub":"a","sub":"b","expires_at":1}',
        b'{"expires_at":9999999}',
        b'{"granted":true,"issued_before":5,"expires_at":9999999}',
        b'{"sub":"a"}',
        b'{"sub":1,"expires_at":1}',
        b'{"sub":"%s","expires_at":9999999}' % (b"a" * 3000),
        b'{"sub":null,"expires_at":1}',
        b'{"sub":"a","expires_at":"x"}',
        b'{"sub":"a","granted":false,"expires_at":9999999}',
        b'{"sub":"a","issued_before":"x","expires_at":9999999}',
        b'{"sub":"a","issued_before":null,"expires_at":9999999}',
        b'{"sub":"a","acr":"pwd","expires_at":9999999}',
    ],
)
def test_what_cannot_be_read_may_mean_every_token_that_was_there(known: Descriptions, said: bytes) -> None:
    known.add(said, 5.0, NOW)
    assert [judge(known, asked) for asked in (4.9, 5.0, 5.1)] == [UNSURE, UNSURE, GOOD]
    now = int(NOW)
    assert [judge(known, iat=at, sub="z") for at in (now, now + 60, now + 61)] == [UNSURE, UNSURE, GOOD]
    known.reset(6.0)
    assert judge(known, iat=now) is UNSURE


def test_a_token_that_shows_too_little_cannot_be_judged(known: Descriptions) -> None:
    assert judge(known, 4.0, jti=None) is GOOD
    tell(known, moment=5.0, sub="u", issued_before=2000)
    assert judge(known, 4.0, jti=None, sub="z") is UNSURE
    assert judge(known, 6.0, jti=None, sub="z") is GOOD
    assert judge(known, 4.0, iat=None) is UNSURE


def test_of_an_expired_token_the_feed_says_nothing(known: Descriptions) -> None:
    assert judge(known, exp=int(NOW)) is UNSURE
    assert judge(known, exp=int(NOW) + 1) is GOOD


def test_descriptions_go_when_their_tokens_are_gone(known: Descriptions) -> None:
    for number in range(50):
        tell(known, sub=f"u{number}", expires_at=NOW + 100)
    later = NOW + 100 + LINGER
    known.add(json.dumps({"sub": "v", "expires_at": later + 100}).encode(), 6.0, later - 1)
    assert len(known) == 51
    known.add(json.dumps({"sub": "w", "expires_at": later + 200}).encode(), 6.0, later + 100)
    assert len(known) == 2
    assert judge(known, now=later + 100, sub="v") is DEAD


def test_after_the_clock_was_set_back_what_has_gone_may_count_again(known: Descriptions) -> None:
    ahead = NOW + 7200
    tell(known, sub="u", expires_at=NOW + 100)
    known.add(json.dumps({"sub": "v", "expires_at": ahead + 100}).encode(), 6.0, ahead)
    assert len(known) == 1
    assert known.is_whole(ahead - 60)
    assert not known.is_whole(NOW)
    assert [judge(known, asked) for asked in (None, 4.0, 6.5)] == [UNSURE, UNSURE, GOOD]
    known.reset(7.0)
    assert known.is_whole(NOW)
    assert judge(known) is GOOD


def test_there_is_a_limit_which_makes_room_first(known: Descriptions) -> None:
    for number in range(100):
        tell(known, sub=f"u{number}", expires_at=NOW - LINGER if number < 10 else NOW + 100)
    for number in range(10):
        tell(known, sub=f"v{number}")
    tell(known, sub="v1")
    assert len(known) == 100
    assert judge(known, 1.0) is GOOD


def test_beyond_the_limit_the_oldest_go_and_what_was_there_then_is_doubtful(known: Descriptions) -> None:
    for number in range(101):
        tell(known, sub=f"u{number}", moment=float(number))
    assert len(known) == 75
    assert judge(known, sub="u25") is UNSURE
    assert judge(known, sub="u26", iat=int(NOW)) is DEAD
    assert [judge(known, asked) for asked in (25.0, 25.5)] == [UNSURE, GOOD]
    # The last of them was heard 75 s ago.
    last = int(NOW) - 75
    assert [judge(known, iat=at) for at in (last + 60, last + 61)] == [UNSURE, GOOD]
