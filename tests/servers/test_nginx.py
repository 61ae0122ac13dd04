"""Finding nginx, and what happens where there is none."""

from pathlib import Path

import pytest

from tests.servers import nginx
from tests.servers.fixtures import give_up, or_give_up
from tests.servers.nginx import find_nginx, running_nginx
from tests.servers.process import ServerUnavailableError, free_port


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without nginx."""
    monkeypatch.delenv("NGINX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(nginx, "PLACES", ())
    return tmp_path


def test_the_environment_names_it(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = nowhere / "my-nginx"
    program.touch(mode=0o755)
    monkeypatch.setenv("NGINX", str(program))
    assert find_nginx() == program


def test_none_is_said_in_one_line_and_fails_continuous_integration(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ServerUnavailableError, match="no nginx"):
        find_nginx()
    for value, outcome in (("", pytest.skip.Exception), ("true", pytest.fail.Exception)):
        monkeypatch.setenv("CI", value)
        with pytest.raises(outcome, match="no nginx"), or_give_up() as stack:
            stack.enter_context(running_nginx({}, {}, free_port()))


def test_a_configuration_that_is_not_one_is_told(tmp_path: Path) -> None:
    try:
        find_nginx()
    except ServerUnavailableError as error:
        give_up(str(error))
    with pytest.raises(ServerUnavailableError, match="nginx did not start"):
        running_nginx({"listen 80;": "rubbish;"}, {}, free_port()).__enter__()
