"""The one table of the ledger. What changes here needs a migration beside it."""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

calls = Table(
    "calls",
    metadata,
    Column("id", String(32), primary_key=True),
    # What was sent, and for whom.
    Column("key", String(64), nullable=False),
    Column("judge", String(200), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("base_url", Text),
    Column("run", String(200)),
    Column("prompt_hash", String(64), nullable=False),
    Column("model", Text, nullable=False),
    Column("seed", BigInteger),
    Column("sample", Integer, nullable=False),
    Column("prompt_version", String(64), nullable=False),
    # The most it can cost: what it is taken to have cost when nobody knows.
    Column("reserved_cost", Float, nullable=False),
    Column("reserved_tokens", BigInteger, nullable=False),
    # sent: about to be or under way, or its process died; ok: read; failed: no use; presumed: never heard of again.
    Column("state", String(10), nullable=False),
    Column("created", Float, nullable=False),
    Column("given_up", Float, nullable=False),
    # What came back. Times are Unix seconds, the latency seconds.
    Column("finished", Float),
    Column("latency", Float),
    Column("status", String(30)),
    Column("error", Text),
    Column("model_returned", Text),
    Column("system_fingerprint", Text),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cost", Float),
    Column("reply", Text),
    Index("calls_by_key", "key"),
    Index("calls_by_run", "judge", "run"),
    Index("calls_by_state", "state"),
)
