"""``authserver token``."""

from authserver import crypto
from tests.cli.conftest import Run


def test_a_token_is_read_from_standard_input_and_never_shown(run: Run):
    token = crypto.new_handle(crypto.Kind.ACCESS)[0]
    result = run("token", "revoke", given=token + "\n", status=1)
    assert "there is no access token" in result.stderr
    assert token not in result.output


def test_what_is_no_token_is_refused(run: Run):
    assert "not a token of this server" in run("token", "revoke", "abc", status=1).stderr
