"""PostgreSQL: connections that are lost, servers that go away, plans that grow stale."""

import threading

import psycopg
import pytest

from authserver.settings import SettingsError
from authserver.store import BadValue, Busy, Store, Unavailable, open_store
from authserver.store.database import Transaction
from tests.servers.fixtures import or_give_up
from tests.servers.postgres import libpq_url, postgres_server
from tests.servers.process import free_port
from tests.store.at_once import at_once
from tests.store.conftest import OpenStore
from tests.store.makers import EVENT, a_client, a_user
from tests.store.settings import make_schema, settings_for


@pytest.fixture
def administrator(prepared_postgres_url: str):
    with psycopg.connect(libpq_url(prepared_postgres_url), autocommit=True) as connection:
        yield connection


def terminate(administrator: psycopg.Connection) -> int:
    """End every other connection to the database."""
    ended = administrator.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    return len(ended.fetchall())


def test_a_read_goes_on_when_the_server_ended_the_connections(postgres_store: Store, administrator: psycopg.Connection):
    postgres_store.clients.add(a_client(), EVENT)
    at_once(lambda: postgres_store.clients.get("client"), 4)
    assert terminate(administrator) >= 1
    assert postgres_store.clients.get("client")
    assert at_once(lambda: postgres_store.clients.get("client") is not None, 4) == [True] * 4


def test_a_transaction_goes_on_when_the_connection_was_lost_before_it_began(
    postgres_store: Store, administrator: psycopg.Connection
):
    postgres_store.clients.add(a_client(), EVENT)
    for lasting in (False, True):
        assert terminate(administrator) == 1
        postgres_store.database.transaction(lambda transaction: transaction.audit(EVENT), lasting=lasting)
    assert len(postgres_store.audit.list(0, 9)) == 3


def test_a_write_on_a_lost_connection_is_unavailable_and_the_next_one_works(
    postgres_store: Store, administrator: psycopg.Connection
):
    postgres_store.audit.append(EVENT)
    terminate(administrator)
    with pytest.raises(Unavailable):
        postgres_store.audit.append(EVENT)
    postgres_store.audit.append(EVENT)
    assert len(postgres_store.audit.list(0, 9)) == 2


def test_a_transaction_that_loses_its_connection_in_the_middle_is_unavailable_and_nothing_of_it_stays(
    postgres_store: Store, administrator: psycopg.Connection
):
    def work(transaction: Transaction) -> None:
        transaction.audit(EVENT)
        terminate(administrator)
        transaction.audit(EVENT)

    with pytest.raises(Unavailable):
        postgres_store.database.transaction(work)
    assert postgres_store.audit.list(0, 9) == ()


def test_a_server_that_is_away_is_unavailable_and_comes_back():
    with or_give_up() as stack:
        server = stack.enter_context(postgres_server())
        url = server.create()
        make_schema(url)
        store = open_store(settings_for(url))
        stack.callback(store.close)
        store.clients.add(a_client(), EVENT)
        assert server.process
        server.process.stop()
        for _ in range(2):
            for attempt in (
                lambda: store.clients.get("client"),
                store.ping,
                store.is_current,
                lambda: store.audit.append(EVENT),
                lambda: store.clients.delete("client", EVENT),
                store.upgrade,
            ):
                with pytest.raises(Unavailable):
                    attempt()
        server.process.start()
        assert store.clients.get("client")
        store.audit.append(EVENT)


def test_a_server_that_refuses_is_unavailable(opened: OpenStore):
    store = opened(f"postgresql://nobody:wrong@127.0.0.1:{free_port()}/none")
    with pytest.raises(Unavailable) as away:
        store.ping()
    assert "wrong" not in str(away.value)


def test_values_that_do_not_fit_are_refused_when_written_and_unknown_when_read(postgres_store: Store):
    store = postgres_store
    for value in ("a\0b", "\0", "\ud800"):
        assert store.clients.get(value) is None
        assert store.users.by_login(value) is None
        assert store.sessions.of_user(value, 0) == ()
        assert not store.tokens.find_jwt(jti=value, grant_id=None, client_id="c", sub="s", issued_at=0)
        with pytest.raises(BadValue):
            store.tokens.revoke_jti(value, 1)
        with pytest.raises(BadValue):
            store.users.add(a_user(username=value), None, EVENT)
        with pytest.raises(BadValue):
            store.ephemeral.put("space", value, "value", 2**60)
        with pytest.raises(BadValue):
            store.ephemeral.take("space", value)
    with pytest.raises(BadValue):
        store.tokens.revoke_jti("j", 2**63)
    with pytest.raises(BadValue):
        store.tokens.revoke_jti("j", 2**70)
    store.ping()


def test_a_plan_that_grew_stale_is_made_anew(postgres_store: Store, administrator: psycopg.Connection):
    postgres_store.clients.add(a_client(), EVENT)
    for _ in range(4):
        postgres_store.clients.get("client")
    administrator.execute("ALTER TABLE clients ALTER COLUMN profile TYPE varchar(100)")
    client = postgres_store.clients.get("client")
    assert client
    assert client.profile == "oauth21"
    assert postgres_store.clients.update(client, EVENT)


@pytest.mark.parametrize("prepare", ["on", "off"])
def test_statements_are_prepared_on_the_server_unless_switched_off(
    prepared_postgres_url: str, opened: OpenStore, prepare: str
):
    store = opened(prepared_postgres_url, database={"prepare": prepare})
    for _ in range(4):
        store.clients.get("client")
    link = store.database.links.take()
    rows = link.driver.execute("SELECT statement FROM pg_prepared_statements").fetchall()
    store.database.links.give(link)
    assert any("FROM clients" in statement for (statement,) in rows) == (prepare == "on")


def test_a_deadlock_is_tried_again(postgres_store: Store):
    store = postgres_store
    store.clients.add(a_client("a"), EVENT)
    store.clients.add(a_client("b"), EVENT)
    barrier = threading.Barrier(2)
    turns = iter([("a", "b"), ("b", "a")])
    disable = store.clients._disable

    def cross() -> int:
        first, second = next(turns)
        attempts = []

        def work(transaction: Transaction) -> int:
            transaction.run(disable, of_client=first, now=1)
            if not attempts:
                barrier.wait(30)
            attempts.append(1)
            transaction.run(disable, of_client=second, now=1)
            return len(attempts)

        return store.database.transaction(work)

    store.database.links.give(store.database.links.take())
    with psycopg.connect(libpq_url(str(store.database.engine.url.render_as_string(hide_password=False)))) as connection:
        connection.autocommit = True
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET deadlock_timeout = 50')
    store.database.links.clear()
    assert sorted(at_once(cross, 2)) == [1, 2]


def test_a_lock_that_is_not_free_in_time_is_busy(
    prepared_postgres_url: str, opened: OpenStore, administrator: psycopg.Connection
):
    store = opened(prepared_postgres_url, database={"busy_ms": 100})
    store.clients.add(a_client(), EVENT)
    with administrator.transaction():
        administrator.execute("SELECT 1 FROM clients FOR UPDATE")
        with pytest.raises(Busy):
            store.clients.set_disabled("client", True, EVENT)
        assert store.clients.get("client")
    assert store.clients.set_disabled("client", True, EVENT)


def test_more_threads_than_connections_wait_and_then_hear_busy(prepared_postgres_url: str, opened: OpenStore):
    store = opened(prepared_postgres_url, database={"busy_ms": 100, "pool_size": 1})
    link = store.database.links.take()
    with pytest.raises(Busy):
        store.ping()
    store.database.links.give(link)
    store.ping()


def test_what_takes_away_survives_power_loss_where_the_server_trades_that_for_speed(
    prepared_postgres_url: str, opened: OpenStore, administrator: psycopg.Connection
):
    def setting(transaction: Transaction) -> str:
        transaction._cursor.execute("SHOW synchronous_commit")
        return str(transaction._cursor.fetchall()[0][0])

    for given, kept in (("off", "on"), ("local", "local"), ("on", "on")):
        administrator.execute(f'ALTER DATABASE "{administrator.info.dbname}" SET synchronous_commit = {given}')
        store = opened(prepared_postgres_url)
        assert store.database.transaction(setting) == given
        assert store.database.transaction(setting, lasting=True) == kept
        assert store.database.transaction(setting) == given


def test_an_error_says_nothing_of_the_values(postgres_store: Store, administrator: psycopg.Connection):
    administrator.execute("ALTER TABLE users ADD CHECK (username <> 'secret-name')")
    with pytest.raises(Exception, match="there") as refused:
        postgres_store.users.add(a_user(username="secret-name"), None, EVENT)
    text = str(refused.value)
    shown = refused.value.__cause__, refused.value.__suppress_context__
    assert "secret-name" not in text
    assert shown == (None, True)


def test_a_url_that_is_none_is_refused(opened: OpenStore):
    with pytest.raises(SettingsError, match="not a database URL"):
        opened("postgresql://host:port/name")
