import os

import pytest

from resourceserver.per_process import PerProcess


def test_each_process_has_a_state_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    held = PerProcess(list)
    mine = held.get()
    assert held.get() is mine
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert held.get() is held.get()
    assert held.get() is not mine
    monkeypatch.undo()
    assert held.get() is mine
