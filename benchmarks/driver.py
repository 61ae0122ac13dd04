"""The load driver: a process of its own with 4 kept connections, told by lines of JSON what to do next.

``{"target": key, "at": {...}}`` introduces a server, ``{"target": key, "operation": name, "seconds": s, "most": n}``
runs an operation for so long and not more often than that, and is answered with what it took. Every answer of the
server is checked; a wrong one ends the process.
"""

import gc
import json
import selectors
import sys
import time
from itertools import chain
from typing import Any, Final

from benchmarks import authorize, documents, introspect, token
from benchmarks.connection import Connection, WrongAnswer
from benchmarks.script import Operation, Script, Target

CONNECTIONS: Final = 4
_PATIENCE: Final = 10.0  # seconds for one answer
OPERATIONS: Final[dict[str, Operation]] = {
    operation.name: operation
    for operation in chain(documents.OPERATIONS, token.OPERATIONS, introspect.OPERATIONS, authorize.OPERATIONS)
}


class Lane:
    """A script, and the connection on which it runs: one for each round, because servers close idle ones."""

    def __init__(self, at: Target, script: Script) -> None:
        self._at = at
        self._script = script
        self.started = 0

    def connect(self) -> Connection:
        """Open the connection of the next round."""
        self.connection = Connection(self._at.host, self._at.port)
        return self.connection

    def begin(self) -> None:
        """Send the first request of an operation."""
        self.started = time.perf_counter_ns()
        request = next(self._script)
        if request is None:
            raise WrongAnswer("a script without a request")
        self.connection.send(request)

    def proceed(self) -> bool:
        """Take what came and send what follows; say whether the operation is complete."""
        reply = self.connection.receive()
        if reply is None:
            return False
        request = self._script.send(reply)
        if request is None:
            return True
        self.connection.send(request)
        return False


class Driver:
    """All servers, and their lanes: they live for the whole run, because a refresh needs the answer before."""

    def __init__(self) -> None:
        self._targets: dict[str, Target] = {}
        self._lanes: dict[tuple[str, str], list[Lane]] = {}

    def obey(self, command: dict[str, Any]) -> dict[str, Any]:
        """Do what a line says."""
        key = command["target"]
        if "at" in command:
            self._targets[key] = Target(**command["at"])
            return {}
        place = (key, command["operation"])
        if place not in self._lanes:
            at, operation = self._targets[key], OPERATIONS[command["operation"]]
            self._lanes[place] = [Lane(at, operation.script(at, number)) for number in range(CONNECTIONS)]
        return run(self._lanes[place], command["seconds"], command["most"])


def run(lanes: list[Lane], seconds: float, most: int) -> dict[str, Any]:
    """Run the lanes' operation again and again; return count, seconds and latencies in microseconds."""
    selector, latencies = selectors.DefaultSelector(), []
    for lane in lanes:
        selector.register(lane.connect().socket, selectors.EVENT_READ, lane)
    began = time.perf_counter()
    begun = len(lanes)
    for lane in lanes:
        lane.begin()
    busy = len(lanes)
    while busy:
        ready = selector.select(_PATIENCE)
        if not ready:
            raise WrongAnswer(f"no answer within {_PATIENCE} seconds")
        for key, _ in ready:
            lane = key.data
            if lane.proceed():
                latencies.append(time.perf_counter_ns() - lane.started)
                if begun < most and time.perf_counter() - began < seconds:
                    begun += 1
                    lane.begin()
                else:
                    busy -= 1
    took = time.perf_counter() - began
    selector.close()
    for lane in lanes:
        lane.connection.close()
    latencies.sort()
    return {
        "count": len(latencies),
        "seconds": took,
        "p50_us": latencies[len(latencies) // 2] / 1000,
        "p99_us": latencies[len(latencies) * 99 // 100] / 1000,
    }


def main() -> None:
    """Obey standard input until it ends."""
    driver = Driver()
    gc.freeze()
    for line in sys.stdin:
        try:
            answer = driver.obey(json.loads(line))
        except (WrongAnswer, OSError, KeyError, ValueError) as failure:
            print(json.dumps({"failure": f"{type(failure).__name__}: {failure}"}), flush=True)
            raise SystemExit(1) from None
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
