"""``make bench``: measure, print one table beside the targets, keep the figures for the next time."""

import argparse
import os
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import calls, cpu, report
from benchmarks.connection import WrongAnswer
from benchmarks.deployment import Deployment, deployed, postmaster
from benchmarks.floor import Floor
from benchmarks.report import Result, ServerResult
from benchmarks.rounds import ALL, Plan, half_sent, measure
from benchmarks.store import stored
from benchmarks.verify_jwt import verifying
from tests.servers.postgres import Postgres, postgres_server

_DATABASES = ("sqlite", "postgresql")


def main() -> int:
    """Run; return the exit status."""
    options = _options()
    before = report.load_baseline()
    try:
        with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="authserver-bench-") as folder:
            postgres = stack.enter_context(postgres_server()) if "postgresql" in options.databases else None
            result = _run(options, Path(folder), postgres)
    except WrongAnswer as failure:
        print(f"benchmarks: {failure}", file=sys.stderr)
        return 1
    report.print_table(result, before)
    if not options.compare:
        if not options.quick and not options.variants:
            report.store_baseline(result)
        return 0
    slower = report.changes(result, before)
    print("\n" + ("\n".join(["slower than before:", *slower]) if slower else "nothing is slower than before"))
    return 1 if slower else 0


def _options() -> argparse.Namespace:
    words = os.environ.get("BENCH", "").split()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", default="quick" in words, help="fewer and shorter rounds")
    parser.add_argument("--compare", action="store_true", default="compare" in words, help="fail where it got slower")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="length of one round of one operation")
    parser.add_argument("--only", action="append", choices=ALL, help="measure this operation alone; repeatable")
    parser.add_argument("--database", dest="databases", action="append", choices=_DATABASES)
    parser.add_argument("--with", dest="variants", action="append", default=[], metavar="SETTING=VALUE,...",
                        help="measure a second server with these settings beside the first; repeatable")  # fmt: skip
    parser.add_argument("--half-sent", type=int, default=0, help="connections that hold half a request meanwhile")
    parser.add_argument("--no-calls", action="store_true", help="leave the measurements in process out")
    options = parser.parse_args()
    options.databases = options.databases or list(_DATABASES)
    options.rounds = options.rounds or (3 if options.quick else 7)
    options.seconds = options.seconds or (0.7 if options.quick else 1.5)
    return options


def _run(options: argparse.Namespace, folder: Path, postgres: Postgres | None) -> Result:
    plan = Plan(options.rounds, options.seconds, tuple(options.only or ALL))
    with deployed(options.databases, ["", *options.variants], folder, postgres) as servers:
        idle = {server.key: cpu.memory(server.workers()).pss for server in servers}
        with half_sent(servers, options.half_sent), (folder / "floor.log").open("wb") as log:
            yardstick = Floor(log)
            try:
                table = measure([yardstick, *servers], plan)
            finally:
                yardstick.stop()
        after = {server.key: cpu.memory(server.workers()).pss for server in servers}
        library = {} if options.no_calls else _library(servers[0], options)
    kept = {} if options.no_calls else {name: _store(name, folder, postgres, options) for name in options.databases}
    return Result(
        {
            server.key: ServerResult(
                server.database,
                table[server.key],
                server.start_seconds,
                idle[server.key],
                after[server.key],
                {} if server.variant else kept.get(server.database, {}),
            )
            for server in servers
        },
        library,
        table[yardstick.key].get("discovery"),
    )


def _library(server: Deployment, options: argparse.Namespace) -> dict[str, float]:
    with verifying(server) as found:
        return calls.measure(found, options.rounds, options.seconds / 4)


def _store(database: str, folder: Path, postgres: Postgres | None, options: argparse.Namespace) -> dict[str, float]:
    url = postgres.create() if postgres and database == "postgresql" else f"sqlite:///{folder}/store.db"
    beside = cpu.family(postmaster(postgres)) if postgres and database == "postgresql" else []
    with stored(url) as found:
        return calls.measure(found, options.rounds, options.seconds / 4, beside)


if __name__ == "__main__":
    sys.exit(main())
