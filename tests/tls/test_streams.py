"""The stream of revocations over https: from our own listener, and through nginx, which must hold nothing back."""

import pytest

from tests.following import Told, streaming
from tests.tls.conftest import LEAF, Site
from tests.world import API


@pytest.mark.parametrize("way", ["own", "alias"])
def test_revocations_come_at_once_to_whoever_shows_a_certificate_8705_5(proxied: Site, way: str):
    site = proxied
    follower = site.by_subject(resource_server_for=[API])
    with site.http(LEAF) as http, streaming(http, getattr(site, way), client_id=follower.client_id) as stream:
        assert stream.read() is not None
        assert stream.read() == []
        site.world.store.tokens.revoke_jti(f"told-{way}", 2**60)
        assert [told.description for told in stream.next()] == [{"jti": f"told-{way}"}]


def test_revocations_come_at_once_through_nginx(proxied: Site):
    site = proxied
    follower = site.world.client(resource_server_for=[API])
    with site.http(auth=follower.basic) as http, streaming(http, site.issuer) as stream:
        first = stream.read()
        assert first is not None
        assert first[0] == Told("0.0", "reset", {})
        site.world.store.tokens.revoke_jti("told-nginx", 2**60)
        assert [told.description for told in stream.next()] == [{"jti": "told-nginx"}]
