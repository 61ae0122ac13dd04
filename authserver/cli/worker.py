"""Work beside the requests: ``authserver worker``."""

import signal

import click

from authserver.cli.failure import Failure

_PATIENCE = 15.0  # seconds for what other threads are still sending


@click.command()
@click.option("--once", is_flag=True, help="One round, then end.")
def worker(once: bool) -> None:
    """Clean up, rotate keys and tell clients of ended sessions until SIGTERM or Ctrl-C; several may run."""
    from authserver import log
    from authserver.app import create_server
    from authserver.cli.deployment import opened
    from authserver.worker import Worker

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
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: work.stop())
        work.run()
        deliveries.close()
