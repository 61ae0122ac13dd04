"""One DPoP proof, many who send it at the same moment at two server processes (RFC 9449 11.1)."""

from functools import partial
from itertools import cycle, islice

import pytest

from tests.flows.conftest import Nodes
from tests.flows.racing import RACERS, ROUNDS, race
from tests.proofs import proven

pytestmark = pytest.mark.slow

ITSELF = {"grant_type": "client_credentials", "scope": "api:read"}


def test_exactly_one_gets_a_token(nodes: Nodes) -> None:
    client = nodes.world.client(dpop_bound_access_tokens=True)
    for _ in range(ROUNDS):
        headers = proven(nodes.world)
        acts = [
            partial(http.post, "/token", data=ITSELF, headers=headers, auth=client.basic)
            for http in islice(cycle(nodes.clients), RACERS)
        ]
        answers = race(acts)
        assert sorted(answer.status_code for answer in answers) == [200] + [400] * (RACERS - 1)
        assert {answer.json()["error"] for answer in answers if answer.is_error} == {"invalid_dpop_proof"}
