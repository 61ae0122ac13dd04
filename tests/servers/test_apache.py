"""Finding Apache and its module, and what happens where they are not."""

from pathlib import Path

import pytest

from tests.servers import apache
from tests.servers.apache import find_apache, running_apache, shipped
from tests.servers.fixtures import give_up, or_give_up
from tests.servers.process import ServerUnavailableError, free_port


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without Apache."""
    monkeypatch.delenv("APACHE", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(apache, "PLACES", ())
    monkeypatch.setattr(apache, "MODULES", (str(tmp_path),))
    return tmp_path


def test_the_environment_names_it(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = nowhere / "my-apache"
    program.touch(mode=0o755)
    monkeypatch.setenv("APACHE", str(program))
    with pytest.raises(ServerUnavailableError, match="no mod_auth_openidc"):
        find_apache()
    (nowhere / "mod_auth_openidc.so").touch()
    assert find_apache() == (program, nowhere)


def test_none_is_said_in_one_line_and_fails_continuous_integration(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", value)
        with pytest.raises(outcome, match="no Apache"), or_give_up() as stack:
            stack.enter_context(running_apache({}, {}))


def test_a_configuration_that_is_not_one_is_told() -> None:
    try:
        find_apache()
    except ServerUnavailableError as error:
        give_up(str(error))
    with pytest.raises(ServerUnavailableError, match=r"did not start: .*Rubbish"):
        running_apache({free_port(): "Rubbish on"}, {}).__enter__()


def test_a_change_of_what_is_not_there_is_told() -> None:
    with pytest.raises(AssertionError, match=r"jwt\.conf has no"):
        shipped("jwt.conf", {"what never was there": ""})
