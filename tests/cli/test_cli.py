"""The top of the command line."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from authserver import __version__
from authserver.cli import cli

NOUNS = [
    "client",
    "db",
    "demo",
    "doctor",
    "grant",
    "job",
    "key",
    "resource",
    "serve",
    "session",
    "settings",
    "token",
    "user",
    "worker",
]


def test_help_names_every_noun():
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    assert sorted(cli.commands) == NOUNS
    assert [noun for noun in NOUNS if f"\n  {noun} " in result.output] == NOUNS


@pytest.mark.parametrize("noun", NOUNS)
def test_every_noun_explains_itself_without_settings(noun: str):
    assert CliRunner().invoke(cli, [noun, "--help"]).exit_code == 0


def test_the_version_is_told():
    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom authserver.cli import cli\n"
        "heavy = {'flask', 'sqlalchemy', 'authlib', 'granian', 'pydantic', 'cryptography', 'alembic', 'argon2'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
