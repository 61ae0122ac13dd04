"""Work beside the requests: ``authserver worker``."""

import queue
import signal
import threading
from typing import TYPE_CHECKING

import click

from authserver.cli.failure import Failure

if TYPE_CHECKING:
    from authserver.worker import Worker

_PATIENCE = 15.0  # seconds for what other threads are still sending


@click.command()
@click.option("--once", is_flag=True, help="One round, then end.")
def worker(once: bool) -> None:
    """Clean up, rotate keys and tell clients of ended sessions until SIGTERM, SIGHUP or Ctrl-C; several may run."""
    from authserver import log
    from authserver.app import create_server
    from authserver.cli.deployment import opened
    from authserver.worker import Worker
    from resourceserver.serving import processes

    with opened() as deployment:
        log.configure(deployment.settings)
        deliveries = create_server(deployment.settings, deployment.store).deliveries
        work = Worker(deployment.store, deployment.sealer, deployment.settings, deliveries)
        if once:
            if not work.lease():
                raise Failure("another process holds the lease")
            work.round()
            deliveries.run()
            deliveries.wait(_PATIENCE)
            return
        told: queue.SimpleQueue[int] = queue.SimpleQueue()
        endings = processes.endings()
        for number in endings:
            signal.signal(number, lambda number, _frame: told.put(number))
        threading.Thread(target=_stop, args=(work, told), name="stop", daemon=True).start()
        work.run()
        deliveries.close()
        for number in endings:
            # Whoever ends may be told to end again: that changes nothing now.
            signal.signal(number, signal.SIG_IGN)


def _stop(work: "Worker", told: queue.SimpleQueue[int]) -> None:
    """Stop the work when told to; a handler must not, as it may have interrupted whoever holds the lock for that."""
    told.get()
    work.stop()
