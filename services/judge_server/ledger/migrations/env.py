"""What alembic runs: migrations over the connection that the ledger hands it, one server at a time."""

from alembic import context
from sqlalchemy import Connection, text

LOCK = 0x6775_6572_646F_6E
"""Of PostgreSQL, where several servers may start at once; a SQLite file is locked as a whole."""

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, transactional_ddl=True)
with context.begin_transaction():
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"select pg_advisory_xact_lock({LOCK})"))
    context.run_migrations()
