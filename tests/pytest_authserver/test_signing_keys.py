"""The kit's fixed signing keys."""

from authserver.crypto import Sealer
from pytest_authserver import AuthServer, signing_keys


def test_every_server_has_the_same_keys_sealed_under_its_own_secret():
    first, second = (signing_keys.sealed(Sealer(letter * 40)) for letter in "ab")
    assert [key.kid for key in first] == [key.kid for key in second]
    assert [key.algorithm for key in first] == ["RS256", "ES256", "RSA-OAEP-256", "ECDH-ES"]
    assert not {key.sealed for key in first} & {key.sealed for key in second}


def test_they_sign_now_and_a_year_from_now(authserver: AuthServer):
    client, user = authserver.client(), authserver.user()
    for seconds in (-86400, 0, 365 * 86400):
        with authserver.later(seconds):
            assert authserver.server.keys.sign("ES256", "JWT", {"sub": user.sub})
            assert authserver.server.keys.sign("RS256", "JWT", {"sub": client.client_id})
