"""What the standard claims must be (OpenID Connect Core 1.0, 5.1, 5.1.1)."""

from typing import Any

import pytest

from authserver.manage import standard_claims, users
from authserver.manage.errors import ManageError
from authserver.oidc import claims
from authserver.records import User

TEXTS = (
    *("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture"),
    *("website", "email", "gender", "birthdate", "zoneinfo", "locale", "phone_number"),
)
ALL = {
    **dict.fromkeys(TEXTS, "x"),
    "email": "alice@people.test",
    "email_verified": True,
    "phone_number_verified": False,
    "birthdate": "1990-01-31",
    "address": {"formatted": "Dam 1\nAmsterdam", "country": "NL"},
    "updated_at": 1_700_000_000,
}
NO_TEXT: tuple[Any, ...] = (5, 0, True, None, ["x"], {"x": "y"})
WRONG = [
    *((name, value, f"^{name} must be ") for name in TEXTS if name != "email" for value in NO_TEXT),
    *(("phone_number_verified", value, "must be true or false") for value in ("true", "", 1, 0, None, [])),
    *(("updated_at", value, "must be a number") for value in ("1700000000", True, None, {})),
    *(("address", value, "^address must be an object") for value in ("Dam 1", 1, None, ["Dam 1"])),
    ("address", {"formatted": 7}, "^formatted in address must be text"),
    ("address", {"country": "NL", "postal_code": 1012}, "^postal_code in address must be text"),
    ("address", {"region": None}, "^region in address must be text"),
]
BIRTHDATES = ("1987-12-31", "0000-12-31", "0000-02-29", "1988-02-29", "1987", "0001-01-01")
NO_BIRTHDATES = (
    *("", "31.12.1987", "1987-13-01", "1987-02-29", "0000-02-30", "19871231", "1987-12", "87-12-31", "--12-31"),
    *("1987-W01-1", "1987-12-31T00:00:00Z", "1987-12-31\n", " 1987", "\uff11\uff19\uff18\uff17", "yesterday"),
)


def _made(**given: Any) -> User:
    return users.make_user("alice", claims=given)


def test_an_account_may_have_every_standard_claim():
    kept = {name: value for name, value in ALL.items() if name not in {"email", "email_verified"}}
    assert dict(_made(**ALL).claims) == kept


def test_every_claim_that_a_scope_opens_has_a_type_5_4():
    opened = {name for names in claims.BY_SCOPE.values() for name in names}
    assert opened == ALL.keys()
    assert [name for name in sorted(opened) if standard_claims.problem(name, object()) is None] == []


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG, ids=str)
def test_a_standard_claim_of_another_type_is_refused_by_name(name: str, value: Any, sentence: str):
    with pytest.raises(ManageError, match=sentence) as refused:
        _made(**{name: value})
    assert name in str(refused.value)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"name": "Alice", "name#de": 5}, "^name#de must be text"),
        ({"family_name": "山田", "family_name#ja-Kana-JP": None}, "^family_name#ja-Kana-JP must be text"),
        ({"address": {"locality": "Wien"}, "address#en": "Vienna"}, "^address#en must be an object"),
        ({"address": {"locality": "Wien"}, "address#en": {"locality": 1}}, "^locality in address#en must be text"),
    ],
    ids=str,
)
def test_a_claim_in_a_language_has_the_type_of_the_one_without_5_2(given: dict[str, Any], sentence: str):
    with pytest.raises(ManageError, match=sentence):
        _made(**given)


@pytest.mark.parametrize("value", BIRTHDATES)
def test_a_birthdate_is_a_date_with_or_without_its_year_or_a_year(value: str):
    assert _made(birthdate=value).claims["birthdate"] == value


@pytest.mark.parametrize("value", [*NO_BIRTHDATES, 19871231], ids=ascii)
def test_a_birthdate_in_another_form_is_refused(value: Any):
    with pytest.raises(ManageError, match="birthdate must be text like"):
        _made(birthdate=value)


@pytest.mark.parametrize(
    "given",
    [
        {"address": {}},
        {"address": {"formatted": "Dam 1", "floor": 3}},
        {"address": {"locality": "Wien"}, "address#en": {"locality": "Vienna"}},
        {"updated_at": 1.5},
        {"phone_number": "ask reception"},
        {"website": "alice dot example"},
        {"gender": ""},
        {"zoneinfo": "Nowhere/Land"},
    ],
    ids=str,
)
def test_what_no_client_stumbles_over_is_accepted(given: dict[str, Any]):
    assert dict(_made(**given).claims) == given


@pytest.mark.parametrize("value", [5, None, True, [1], {"x": 1}], ids=str)
@pytest.mark.parametrize("name", ["shoe_size", "Name", "name#", "name#not a tag", "https://people.test/birthdate"])
def test_claims_of_ones_own_are_what_they_are(name: str, value: Any):
    assert dict(_made(**{name: value}).claims) == {name: value}


def test_what_was_stored_of_a_wrong_type_before_is_not_told():
    wrong = {"nickname": 5, "address": {"formatted": 7}, "phone_number": 5, "birthdate": 19871231, "locale": None}
    right = {"name": "Alice", "website": "https://alice.example", "shoe_size": {"eu": 46}}
    stored = {**right, **wrong, "phone_number_verified": "true", "name#de": 5, "name#fr": "Alix"}
    told = claims.named(User("sub-1", "alice", claims=stored), (*ALL, "name#de", "name#fr", "shoe_size"))
    assert told == {**right, "name#fr": "Alix", "preferred_username": "alice", "updated_at": 0}
