"""PostgreSQL sorts text by its bytes, as SQLite does, and counts entries beyond 2 thousand million.

Else the order of records, and a release with it, would be that of the server's language.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    inspector = sa.inspect(op.get_bind())
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            if isinstance(column["type"], sa.String) and table != "alembic_version":
                kind = type(column["type"])(column["type"].length, collation="C")
                op.alter_column(table, column["name"], type_=kind)
    op.alter_column("frontier", "entry_id", type_=sa.BigInteger())
    op.execute(sa.text("ALTER SEQUENCE frontier_entry_id_seq AS bigint"))


def downgrade() -> None:
    """Nothing: both do no harm to an earlier version."""
