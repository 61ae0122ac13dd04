"""Statements that run on the driver's cursor without any conversion."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from sqlalchemy import (
    JSON,
    Boolean,
    DateTime,
    Enum,
    Executable,
    LargeBinary,
    Uuid,
    bindparam,
    column,
    insert,
    literal,
    select,
    table,
    update,
)

from authserver.store import Store
from authserver.store.statement import Statement, as_is, number, octets, text
from authserver.store.tables import ephemeral, metadata, revoked_jtis

Prepare = Callable[..., Statement[Any]]


@pytest.fixture
def prepare(store: Store) -> Prepare:
    return store.database.prepare


KINDS = [JSON(), DateTime(), Uuid()]


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_an_argument_that_needs_a_conversion_is_refused(sqlite_store: Store, kind: Any):
    rows = table("rows", column("value", kind))
    with pytest.raises(TypeError, match="conversion"):
        sqlite_store.database.prepare(insert(rows))
    with pytest.raises(TypeError, match="conversion"):
        sqlite_store.database.prepare(update(rows).values(value=bindparam("v", type_=kind)))


@pytest.mark.parametrize("kind", [*KINDS, Boolean(), Enum("a", "b")], ids=repr)
def test_a_column_that_needs_a_conversion_is_refused(sqlite_store: Store, kind: Any):
    with pytest.raises(TypeError, match="conversion"):
        sqlite_store.database.prepare(select(column("value", kind)).select_from(table("rows")))


@pytest.mark.parametrize(
    "statement",
    [
        select(ephemeral.c.key).where(ephemeral.c.key.in_(["a", "b"])),
        select(ephemeral.c.key).where(ephemeral.c.key.in_(bindparam("keys", expanding=True))),
        select(ephemeral.c.key).where(ephemeral.c.key == bindparam("key", literal_execute=True)),
        select(ephemeral.c.key).where(column("untyped") == bindparam("key")),
    ],
)
def test_an_argument_that_changes_the_text_or_has_no_type_is_refused(prepare: Prepare, statement: Executable):
    with pytest.raises(TypeError):
        prepare(statement)


def test_arguments_are_named_and_none_is_missing_or_unknown(prepare: Prepare):
    statement = prepare(
        select(ephemeral.c.key).where(ephemeral.c.space == text("of_space"), ephemeral.c.key == "fixed")
    )
    assert statement.bind(of_space="s") == ("s", "fixed")
    with pytest.raises(TypeError):
        statement.bind()
    with pytest.raises(TypeError):
        statement.bind(of_space="s", other=1)


def test_an_argument_may_be_used_twice_and_bytes_go_through(prepare: Prepare):
    statement = prepare(
        select(literal(1)).where(number("n") > 1, number("n") < 9, octets("raw") == literal(b"x", LargeBinary))
    )
    assert statement.bind(n=5, raw=b"r") == (1, 5, 1, 5, 9, b"r", b"x")


def test_the_columns_are_the_fields_of_the_record(prepare: Prepare):
    class Pair(NamedTuple):
        jti: str
        expires_at: int

    assert prepare(select(revoked_jtis.c.jti, revoked_jtis.c.expires_at), Pair._make).make(("j", 1)) == Pair("j", 1)
    with pytest.raises(TypeError, match="fields"):
        prepare(select(revoked_jtis.c.expires_at, revoked_jtis.c.jti), Pair._make)


def test_every_column_of_the_schema_can_be_prepared(prepare: Prepare):
    for each in metadata.sorted_tables:
        selected, inserted = prepare(select(*each.c), as_is), prepare(insert(each).inline())
        assert (selected.returns, inserted.returns) == (True, False)
        assert all(column.name in selected.sql and column.name in inserted.sql for column in each.c)
