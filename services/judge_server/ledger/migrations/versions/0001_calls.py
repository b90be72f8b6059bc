"""The table of calls."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "calls",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("judge", sa.String(200), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("base_url", sa.Text),
        sa.Column("run", sa.String(200)),
        sa.Column("prompt_hash", sa.String(64), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("seed", sa.BigInteger),
        sa.Column("sample", sa.Integer, nullable=False),
        sa.Column("prompt_version", sa.String(64), nullable=False),
        sa.Column("reserved_cost", sa.Float, nullable=False),
        sa.Column("reserved_tokens", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("given_up", sa.Float, nullable=False),
        sa.Column("finished", sa.Float),
        sa.Column("latency", sa.Float),
        sa.Column("status", sa.String(30)),
        sa.Column("error", sa.Text),
        sa.Column("model_returned", sa.Text),
        sa.Column("system_fingerprint", sa.Text),
        sa.Column("prompt_tokens", sa.BigInteger),
        sa.Column("completion_tokens", sa.BigInteger),
        sa.Column("cost", sa.Float),
        sa.Column("reply", sa.Text),
    )
    op.create_index("calls_by_key", "calls", ["key"])
    op.create_index("calls_by_run", "calls", ["judge", "run"])
    op.create_index("calls_by_state", "calls", ["state"])


def downgrade() -> None:
    op.drop_table("calls")
