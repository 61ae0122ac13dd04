import stat
import threading
from pathlib import Path

import pytest

from resourceserver.notes import NoteStore, NotesUnavailableError, Owner, TooManyNotesError

ALICE = Owner("https://as.example", "user:alice")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'folder' / 'notes.db'}"


def test_notes_are_kept_in_order_and_outlive_the_process(url: str) -> None:
    store = NoteStore(url, most_per_owner=10)
    for text in ("first", "second\nline", "dritte — 🌒"):
        store.add(ALICE, text)
    store.close()
    again = NoteStore(url, most_per_owner=10)
    assert [note.text for note in again.of_owner(ALICE)] == ["first", "second\nline", "dritte — 🌒"]
    again.close()


def test_a_note_belongs_to_issuer_and_subject_together(url: str) -> None:
    store = NoteStore(url, most_per_owner=10)
    note = store.add(ALICE, "mine")
    others = [
        Owner("https://other.example", "user:alice"),
        Owner(ALICE.issuer, "user:bob"),
        Owner(ALICE.issuer, "client:alice"),
    ]
    for other in others:
        assert store.of_owner(other) == []
        assert store.remove(other, note.id) is False
    assert store.remove(ALICE, note.id) is True
    assert store.remove(ALICE, note.id) is False
    store.close()


def test_the_limit_holds_against_simultaneous_writers(url: str) -> None:
    stores = [NoteStore(url, most_per_owner=5) for _ in range(2)]
    refused: list[int] = []

    def write(number: int) -> None:
        try:
            stores[number % 2].add(ALICE, str(number))
        except TooManyNotesError:
            refused.append(number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores[0].of_owner(ALICE)) == 5
    assert len(refused) == 7
    assert len(stores[1].of_owner(Owner(ALICE.issuer, "user:bob"))) == 0
    for store in stores:
        store.close()


def test_a_store_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    file = tmp_path / "no-database"
    file.write_bytes(b"this is text, not a database" * 100)
    with pytest.raises(NotesUnavailableError):
        NoteStore(f"sqlite:///{file}", most_per_owner=1)
    assert file.read_bytes().startswith(b"this is text")


def test_the_notes_are_for_their_owner_only(url: str, tmp_path: Path) -> None:
    store = NoteStore(url, most_per_owner=10)
    store.add(ALICE, "private")
    files = list((tmp_path / "folder").iterdir())
    assert files
    assert [each.name for each in files if stat.S_IMODE(each.stat().st_mode) & 0o077] == []
    store.close()
