"""Rounds: every operation on every server for a short time each, one after the other, again and again."""

import json
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from statistics import median
from typing import Any, Final, NamedTuple

from benchmarks import cpu
from benchmarks.connection import WrongAnswer, post
from benchmarks.deployment import Deployment
from benchmarks.driver import OPERATIONS
from benchmarks.floor import Floor

_BETWEEN: Final = 0.2  # seconds between two looks at the machine's speed
_MOST: Final = 100_000  # operations of one round
_WARM_UP: Final = 0.3  # seconds


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: float
    operations: tuple[str, ...]


class Figure(NamedTuple):
    """What one operation costs on one server."""

    quiet_us: float
    raw_us: float
    per_second: float
    p50_ms: float
    p99_ms: float
    spread: float
    """Distance between the cheapest and the dearest round, as a part of the median."""


class LoadDriver:
    """The driver's process."""

    def __init__(self) -> None:
        program = [sys.executable, "-m", "benchmarks.driver"]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, command: dict[str, Any], speed: cpu.Speed | None = None) -> dict[str, Any]:
        """Send a command and return its answer, looking at the machine's speed while it runs."""
        given, taken = self._process.stdin, self._process.stdout
        if given is None or taken is None:
            raise WrongAnswer("the driver has no pipes")
        given.write(json.dumps(command).encode() + b"\n")
        given.flush()
        while speed is not None and not select.select([taken], [], [], _BETWEEN)[0]:
            speed.sample()
        answer: dict[str, Any] = json.loads(taken.readline() or b'{"failure": "the driver died"}')
        if "failure" in answer:
            raise WrongAnswer(f"{command['target']}, {command.get('operation', 'start')}: {answer['failure']}")
        return answer

    def close(self) -> None:
        """End the driver's process."""
        self._process.kill()
        self._process.communicate()


@contextmanager
def load_driver() -> Iterator[LoadDriver]:
    """Run a driver."""
    driver = LoadDriver()
    try:
        yield driver
    finally:
        driver.close()


def measure(servers: Sequence[Deployment | Floor], plan: Plan) -> dict[str, dict[str, Figure]]:
    """Return server → operation → figure."""
    cells: list[tuple[Deployment | Floor, str]] = [
        (server, name) for name in plan.operations for server in servers if not isinstance(server, Floor)
    ]
    # The yardstick takes part in every run.
    cells += [(server, "discovery") for server in servers if isinstance(server, Floor)]
    found: dict[tuple[str, str], list[Figure]] = {}
    with load_driver() as driver:
        for server in servers:
            driver.ask({"target": server.key, "at": asdict(server.target())})
        for server, name in cells:
            driver.ask({"target": server.key, "operation": name, "seconds": _WARM_UP, "most": _MOST})
        for number in range(plan.rounds):
            print(f"round {number + 1} of {plan.rounds}", file=sys.stderr)
            for server, name in cells:
                found.setdefault((server.key, name), []).append(_round(driver, server, name, plan.seconds))
    table: dict[str, dict[str, Figure]] = {server.key: {} for server in servers}
    for (key, name), figures in found.items():
        table[key][name] = _middle(figures)
    return table


def _round(driver: LoadDriver, server: Deployment | Floor, name: str, seconds: float) -> Figure:
    speed, pids = cpu.Speed(), server.processes()
    speed.sample()
    before = cpu.used_ns(pids)
    answer = driver.ask({"target": server.key, "operation": name, "seconds": seconds, "most": _MOST}, speed)
    raw = (cpu.used_ns(pids) - before) / answer["count"] / 1000
    speed.sample()
    rate = answer["count"] / answer["seconds"]
    return Figure(raw * speed.factor, raw, rate, answer["p50_us"] / 1000, answer["p99_us"] / 1000, 0.0)


def _middle(figures: list[Figure]) -> Figure:
    costs = [figure.quiet_us for figure in figures]
    middle = median(costs)
    raw, rate, p50, p99 = (median(column) for column in list(zip(*figures, strict=True))[1:5])
    return Figure(middle, raw, rate, p50, p99, spread=(max(costs) - min(costs)) / middle)


@contextmanager
def half_sent(deployments: list[Deployment], count: int) -> Iterator[None]:
    """Hold so many connections with half a body at each server, as slow or hostile clients do."""
    held = []
    for server in deployments:
        host, port = server.issuer.removeprefix("http://").split(":")
        whole = post(f"{host}:{port}", "/token", server.clients["machine"], {"grant_type": "client_credentials"})
        for _ in range(count):
            connection = socket.create_connection((host, int(port)), timeout=10)
            connection.sendall(whole[:-5])
            held.append(connection)
    try:
        yield
    finally:
        for connection in held:
            connection.close()


ALL: Final = tuple(OPERATIONS)
