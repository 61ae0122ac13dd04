"""Browser sessions: ``authserver session``."""

import click

from authserver.cli.deployment import minute, opened, print_json, print_table


@click.group()
def session() -> None:
    """Show where accounts are signed in, and end that."""


@session.command("list")
@click.argument("user")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def list_(user: str, as_json: bool) -> None:
    """List the live sessions of USER (name, e-mail address or sub)."""
    from authserver.manage import sessions, users

    with opened() as deployment:
        sub = users.existing(deployment.store, user).sub
        found = [sessions.describe(one) for one in sessions.of_user(deployment.store, deployment.settings, sub)]
    if as_json:
        print_json(found)
        return
    rows = [("SESSION", "SIGNED IN", "ENDS", "REMEMBERED", "ADDRESS", "BROWSER")]
    rows += [
        (
            one["sid"],
            minute(one["auth_time"]),
            minute(one["expires_at"]),
            "yes" if one["remembered"] else "",
            one["address"],
            one["user_agent"],
        )
        for one in found
    ]
    print_table(rows)


@session.command()
@click.argument("sid", required=False)
@click.option("--user", help="End every session of this user.")
def end(sid: str | None, user: str | None) -> None:
    """End one session, or all of a user; grants that do not outlive them are revoked."""
    from authserver.manage import sessions, users

    if (sid is None) == (user is None):
        raise click.UsageError("name a session, or --user")
    with opened() as deployment:
        if sid is not None:
            sessions.end(deployment.store, sid, actor=deployment.actor)
            click.echo(f"ended {sid}")
            return
        sub = users.existing(deployment.store, user or "").sub
        click.echo(f"ended {sessions.end_all(deployment.store, sub, actor=deployment.actor)} sessions")
