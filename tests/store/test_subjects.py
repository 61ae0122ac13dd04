"""What users are called in the sectors of clients (OpenID Connect Core 8.1)."""

from secrets import token_bytes

from sqlalchemy import delete

from authserver.crypto import new_id
from authserver.records import PairwiseSubject
from authserver.store import Store
from authserver.store.tables import users
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore
from tests.store.makers import EVENT, a_user, furnish

SECTOR = "app.example"


def call(store: Store, sector: str = SECTOR, sub: str = "sub-1") -> PairwiseSubject | None:
    """Ask what a user is called, with a fresh draw for the first time."""
    return store.subjects.of(sector, sub, PairwiseSubject(new_id(), token_bytes(32)))


def test_a_user_is_called_the_same_each_time_and_otherwise_in_another_sector(store: Store):
    furnish(store)
    store.users.add(a_user("sub-2", "bob", None), None, EVENT)
    places = [(sector, sub) for sector in (SECTOR, "other.example") for sub in ("sub-1", "sub-2")]
    called = {place: call(store, *place) for place in places}
    assert called == {place: call(store, *place) for place in places}
    known = [each for each in called.values() if each is not None]
    assert len({each.pairwise for each in known}) == len({each.session_key for each in known}) == 4


def test_the_way_back_is_the_sectors_own(store: Store):
    furnish(store)
    known = call(store)
    assert known is not None
    assert store.subjects.find(SECTOR, known.pairwise) == "sub-1"
    assert store.subjects.find("other.example", known.pairwise) is None
    for named in ("sub-1", "", "\0", "\ud800"):
        assert store.subjects.find(SECTOR, named) is None


def test_nobody_is_called_nothing(store: Store):
    assert call(store) is None
    furnish(store)
    assert call(store, sub="client") is None


def test_of_many_at_once_all_get_what_one_has_drawn(store: Store):
    furnish(store)
    known = at_once(lambda: call(store), 8)
    assert len(set(known)) == 1
    assert None not in known


def test_it_outlives_the_process_and_goes_with_its_user(url: str, opened: OpenStore):
    before, after = opened(url), opened(url)
    furnish(before)
    known = call(before)
    assert known is not None
    before.close()
    assert call(after) == known
    after.database.write(after.database.prepare(delete(users)))
    assert after.subjects.find(SECTOR, known.pairwise) is None
