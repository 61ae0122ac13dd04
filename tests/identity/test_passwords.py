import threading
import unicodedata

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from authserver import settings
from authserver.identity import passwords
from authserver.identity.passwords import Passwords, TooBusy

CHEAP = settings.Passwords(memory_kib=8, time_cost=1, parallelism=1)
GOOD = "correct horse battery staple"


@pytest.fixture
def hasher() -> Passwords:
    return Passwords(CHEAP)


def test_the_right_password_is_right_and_another_is_not(hasher: Passwords) -> None:
    stored = hasher.hash(GOOD)
    assert hasher.verify(stored, GOOD) == (True, None)
    assert hasher.verify(stored, GOOD + "!") == (False, None)


def test_a_hash_states_argon2id_with_the_settings_cost() -> None:
    stored = Passwords(settings.Passwords(memory_kib=16, time_cost=3)).hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=16,t=3,p=1$")


def test_the_same_text_in_another_normal_form_is_the_same_password(hasher: Passwords) -> None:
    text = "crème brûlée à la façon"
    stored = hasher.hash(unicodedata.normalize("NFD", text))
    assert hasher.verify(stored, unicodedata.normalize("NFC", text)).right


@pytest.mark.parametrize("kind", ["argon2i", "argon2d", "argon2id"])
def test_an_old_or_weak_hash_is_verified_and_upgraded_once(hasher: Passwords, kind: str) -> None:
    from argon2.low_level import Type

    type_ = {"argon2i": Type.I, "argon2d": Type.D, "argon2id": Type.ID}[kind]
    old = PasswordHasher(time_cost=2, memory_cost=8, parallelism=1, hash_len=16, type=type_).hash(GOOD)
    verdict = hasher.verify(old, GOOD)
    assert verdict.right
    assert verdict.upgraded is not None
    assert hasher.verify(verdict.upgraded, GOOD) == (True, None)
    assert hasher.verify(old, "wrong").upgraded is None


@pytest.mark.parametrize(
    "stored",
    [
        "",
        "x",
        "garbage",
        "$argon2id$",
        "$argon2id$v=19$m=8,t=1,p=1$xx$yy",
        "$argon2id$v=19$m=0,t=0,p=0$c2FsdHNhbHQ$aGFzaA",
        "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$\xe9",
        "$2b$12$" + "a" * 53,
        "\x00",
        "pbkdf2:sha256:1$a$b",
    ],
)
def test_a_malformed_hash_in_the_store_is_a_failed_sign_in(hasher: Passwords, stored: str) -> None:
    assert hasher.verify(stored, GOOD) == (False, None)


def test_nobody_has_no_password(hasher: Passwords) -> None:
    assert hasher.verify(None, "") == (False, None)
    assert hasher.verify(None, GOOD) == (False, None)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=64))
def test_whatever_is_typed_is_an_answer_and_never_an_error(text: str) -> None:
    hasher = Passwords(CHEAP)
    assert not hasher.verify(None, text).right
    passwords.problem(text, ("alice", "alice@example.test"))


@pytest.mark.parametrize(
    ("password", "problem"),
    [
        ("", passwords.TOO_SHORT),
        ("short words", passwords.TOO_SHORT),
        ("ab" * 513, passwords.TOO_LONG),
        ("é" * 513, passwords.TOO_LONG),
        ("half a pair \ud800 of it", passwords.NOT_TEXT),
        ("alice@example.test", passwords.PERSONAL),
        ("ALICE@Example.Test ", passwords.PERSONAL),
        ("passwordpassword", passwords.TOO_EASY),
        ("qwertyuiop1234", passwords.TOO_EASY),
        ("alice alice alice", passwords.TOO_EASY),
        (GOOD, None),
        ("c5Hq mollusc vexing 9", None),
        ("правильно лошадь батарея", None),
        ("4@8({[<63!1|70$5+7%2" * 3, None),
        (GOOD * 36, None),
    ],
)
def test_what_a_password_must_be(password: str, problem: str | None) -> None:
    assert passwords.problem(password, ("alice", "alice@example.test")) == problem


def test_size_is_counted_in_bytes_of_the_composed_form(hasher: Passwords) -> None:
    assert passwords.problem("é" * 5 + "x") == passwords.TOO_SHORT  # 11 bytes
    assert hasher.hash("é" * 512)
    with pytest.raises(ValueError, match="cannot be stored"):
        hasher.hash("é" * 513)


def test_two_people_are_never_judged_by_each_others_names() -> None:
    """The estimator keeps the personal words of a call in a module-wide dictionary."""
    verdicts: dict[str, set[str | None]] = {"zanzibarquokka": set(), "somebody": set()}

    def judge(name: str) -> None:
        for _ in range(20):
            verdicts[name].add(passwords.problem("zanzibarquokka7", (name,)))

    threads = [threading.Thread(target=judge, args=(name,)) for name in verdicts for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {"zanzibarquokka": {passwords.TOO_EASY}, "somebody": {None}}


def test_no_more_hashes_run_than_there_are_places_and_the_queue_has_an_end() -> None:
    hasher = Passwords(settings.Passwords(memory_kib=8, time_cost=1, parallelism=1, queue=2), slots=1)
    with hasher._turn():
        outcomes: list[object] = []
        waiting = [threading.Thread(target=lambda: outcomes.append(hasher.verify(None, GOOD))) for _ in range(2)]
        for thread in waiting:
            thread.start()
        while hasher._waiting < 2:
            threading.Event().wait(0.001)
        with pytest.raises(TooBusy):
            hasher.verify(None, GOOD)
        assert outcomes == []
    for thread in waiting:
        thread.join()
    assert outcomes == [(False, None)] * 2
    assert hasher._running == hasher._waiting == 0
