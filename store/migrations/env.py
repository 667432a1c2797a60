"""What alembic runs: the migrations, on the connection and in the transaction it is given."""

from alembic import context

import store.address_tables
import store.api_key_tables
import store.language_tables
import store.ledger
import store.notification_tables
import store.outside_tables
import store.rate_tables
import store.reservation_tables
import store.schema
import store.secret_tables
import store.speech_tables
import store.upload_tables
import store.usage_tables
import store.webhook_tables
from store.columns import METADATA

__all__ = ["store"]

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite changes a table by making it anew.
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
