"""The web server: ``authserver serve``."""

from typing import TYPE_CHECKING

import click

from authserver.cli.failure import Failure, WrongSettings

if TYPE_CHECKING:
    from authserver.crypto import Sealer
    from authserver.settings import Settings


@click.command()
@click.option("--development", is_flag=True, help="Loopback only, with an http issuer; for your own machine.")
@click.option("--host", help="Address to listen on; localhost means 127.0.0.1 and ::1.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.")
@click.option("--workers", type=click.IntRange(1, 256), help="Worker processes; by default one per CPU.")
@click.option("--no-worker", is_flag=True, help="Leave cleaning and key rotation to 'authserver worker'.")
def serve(no_worker: bool, **options: object) -> None:
    """Answer requests until SIGTERM, SIGHUP or Ctrl-C."""
    from authserver import log
    from authserver.cli import workers
    from authserver.cli.listening import free_addresses
    from authserver.manage import keys
    from authserver.manage.overview import obstacles
    from authserver.outbound import Outbound
    from authserver.settings import is_loopback, load_settings
    from authserver.store import open_store

    settings = load_settings(**{name: value for name, value in options.items() if value})
    if settings.development and not is_loopback(settings.host):
        raise WrongSettings("--development listens on loopback only: set AUTHSERVER_HOST to localhost")
    sealer = _sealer(settings.secret(), settings.previous_secrets())
    Outbound(settings)  # refuses certificates that cannot be read
    log.configure(settings)
    addresses = free_addresses(settings.host, settings.port, "AUTHSERVER_PORT")
    certificates = _certificate_addresses(settings)
    store = open_store(settings)
    try:
        found = obstacles(store, settings)
        if found:
            raise Failure("\n".join(found))
        keys.ensure_first(store, sealer, settings, actor="serve")
    finally:
        store.close()
    import authserver.app  # noqa: F401 - here, once, so that forked workers share it

    grace = 3.0 if settings.development else 15.0
    plan = workers.Plan(settings, addresses, settings.port, not no_worker, grace, certificates)
    raise SystemExit(workers.run(plan))


def _certificate_addresses(settings: "Settings") -> tuple[str, ...]:
    """Return where client certificates are asked for, after a look at everything that this needs."""
    from authserver.cli.listening import free_addresses

    if not settings.in_force.mtls or not settings.mtls.port:
        return ()
    try:
        from authserver.cli import tls
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "gunicorn":
            raise
        raise Failure("AUTHSERVER_MTLS__PORT needs gunicorn: install authserver[mtls]") from None
    tls.make_context(settings)
    return free_addresses(settings.mtls.host or settings.host, settings.mtls.port, "AUTHSERVER_MTLS__PORT")


def _sealer(secret: str, previous: tuple[str, ...]) -> "Sealer":
    from authserver.crypto import Sealer

    return Sealer(secret, previous)
