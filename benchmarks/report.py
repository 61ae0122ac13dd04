"""The table that people read, and the file that the next run is compared with."""

import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from benchmarks.driver import OPERATIONS
from benchmarks.floor import QUIET_US
from benchmarks.rounds import Figure
from benchmarks.targets import AFTER_MIB, IDLE_MIB, LIBRARY, NOISE, SERVER, START_SECONDS, Goal

BASELINE: Final = Path(__file__).with_name("baseline.json")
_NONE: Final = Goal(0)
_HEAD: Final = ("quiet µs", "target", "", "floor", "peer", "before", "raw µs", "per s", "p50 ms", "p99 ms", "spread")
_WIDTH: Final = 34


class ServerResult(NamedTuple):
    """What was found out about one server."""

    database: str
    operations: dict[str, Figure]
    start_seconds: float
    idle_mib: float
    after_mib: float
    store: dict[str, float]


class Result(NamedTuple):
    """A whole run."""

    servers: dict[str, ServerResult]
    library: dict[str, float]
    yardstick: Figure | None


def flat(result: Result) -> dict[str, float]:
    """Return every figure by a name that stays the same from run to run."""
    found = {f"library/{name}": value for name, value in result.library.items()}
    for key, server in result.servers.items():
        found |= {f"{key}/{name}": figure.quiet_us for name, figure in server.operations.items()}
        found |= {f"{key}/{name}": value for name, value in server.store.items()}
        found |= {f"{key}/idle_mib": server.idle_mib, f"{key}/start_seconds": server.start_seconds}
    return {name: round(value, 2) for name, value in found.items()}


def load_baseline() -> dict[str, float]:
    """Return the stored figures, none when there are none."""
    if not BASELINE.is_file():
        return {}
    figures: dict[str, float] = json.loads(BASELINE.read_text())["figures"]
    return figures


def store_baseline(result: Result) -> None:
    """Keep the figures for the next run; those that were not measured now stay as they were."""
    about = {"python": platform.python_version(), "machine": platform.machine(), "cpus": os.cpu_count()}
    document = {"about": about, "figures": dict(sorted((load_baseline() | flat(result)).items()))}
    BASELINE.write_text(json.dumps(document, indent=2) + "\n")


def changes(result: Result, before: Mapping[str, float]) -> list[str]:
    """Return what costs clearly more than before, a sentence each."""
    return [
        f"{name}: {value:.1f}, before {before[name]:.1f}"
        for name, value in flat(result).items()
        if name in before and not name.endswith("start_seconds") and value > before[name] * (1 + NOISE)
    ]


def print_table(result: Result, before: Mapping[str, float]) -> None:
    """Print everything."""
    if result.yardstick is not None:
        _title("yardstick")
        _line("bare WSGI, one thread", result.yardstick.quiet_us, Goal(0, QUIET_US), None, result.yardstick)
    for key, server in result.servers.items():
        _title(key)
        goals = SERVER[server.database]
        for name, figure in server.operations.items():
            _line(OPERATIONS[name].title, figure.quiet_us, goals.get(name, _NONE), before.get(f"{key}/{name}"), figure)
        for name, value in server.store.items():
            _line(name, value, _NONE, before.get(f"{key}/{name}"))
        _plain("start to first good answer", server.start_seconds, START_SECONDS, "s")
        _plain("memory of the worker, idle (PSS)", server.idle_mib, IDLE_MIB, "MiB")
        _plain("memory of the worker, after (PSS)", server.after_mib, AFTER_MIB, "MiB")
    if result.library:
        _title("resource server, in process")
        for name, value in result.library.items():
            _line(name.replace("_", " "), value, LIBRARY.get(name, _NONE), before.get(f"library/{name}"))


def _title(text: str) -> None:
    print(f"\n{text:<{_WIDTH}}" + "".join(f"{word:>9}" if word else "  " for word in _HEAD))


def _line(title: str, value: float, goal: Goal, before: float | None, figure: Figure | None = None) -> None:
    numbers: list[Any] = [goal.floor or "", goal.peer or "", "" if before is None else f"{value / before - 1:+.0%}"]
    if figure is not None:
        numbers += [f"{figure.raw_us:.0f}", f"{figure.per_second:.0f}", f"{figure.p50_ms:.2f}", f"{figure.p99_ms:.2f}"]
        numbers.append(f"{figure.spread:.0%}")
    shown = f"{value:.0f}" if value >= 20 else f"{value:.1f}"
    rest = "".join(f"{number:>9}" for number in numbers)
    print(f"{title:<{_WIDTH}}{shown:>9}{goal.target or '':>9}{_mark(value, goal.target)}{rest}")


def _plain(title: str, value: float, target: float, unit: str) -> None:
    print(f"{title:<{_WIDTH}}{value:>9.2f}{target:>9}{_mark(value, target)} {unit}")


def _mark(value: float, target: float) -> str:
    """Say whether a target is missed (!) or met (+)."""
    if not target:
        return "  "
    return " !" if value > target else " +"
