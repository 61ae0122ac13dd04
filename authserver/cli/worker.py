"""Work beside the requests: ``authserver worker``."""

import signal

import click

from authserver.cli.failure import Failure


@click.command()
@click.option("--once", is_flag=True, help="One round, then end.")
def worker(once: bool) -> None:
    """Clean up and rotate keys until SIGTERM or Ctrl-C; several may run, one works at a time."""
    from authserver import log
    from authserver.cli.deployment import opened
    from authserver.worker import Worker

    with opened() as deployment:
        log.configure(deployment.settings)
        work = Worker(deployment.store, deployment.sealer, deployment.settings)
        if once:
            if not work.lease():
                raise Failure("another process holds the lease")
            work.round()
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: work.stop())
        work.run()
