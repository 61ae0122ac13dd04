"""What clients still have to be told: ``authserver job``."""

from datetime import UTC, datetime

import click

from authserver.cli.deployment import opened, print_json, print_table


@click.group()
def job() -> None:
    """Show what clients have not been told yet, such as that a session is over."""


@job.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=200, show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for a program.")
def list_(limit: int, as_json: bool) -> None:
    """List what is waiting to be told, the oldest first; what became of the rest is in the audit trail."""
    from authserver.manage import jobs

    with opened() as deployment:
        found = [jobs.describe(one) for one in jobs.waiting(deployment.store, 0, limit)]
    if as_json:
        print_json(found)
        return
    rows = [("JOB", "KIND", "CLIENT_ID", "SINCE", "NEXT", "ATTEMPTS", "PROBLEM")]
    for one in found:
        since, due = (
            datetime.fromtimestamp(one[name], UTC).strftime("%m-%d %H:%M:%S") for name in ("created_at", "due_at")
        )
        rows.append(
            (str(one["number"]), one["kind"], one["client_id"], since, due, str(one["attempts"]), one["problem"] or "")
        )
    print_table(rows)
