#!/bin/sh
# Brings Temporal's two databases to the schema of this release; run again it changes nothing.
# Needs SQL_HOST, SQL_PORT, SQL_USER, SQL_PASSWORD and SQL_PLUGIN (postgres12).
set -eu

for schema in temporal visibility; do
  database=temporal
  [ "$schema" = temporal ] || database=temporal_visibility
  temporal-sql-tool --database "$database" create
  temporal-sql-tool --database "$database" setup-schema --version 0.0
  temporal-sql-tool --database "$database" update-schema \
    --schema-name "postgresql/v12/$schema"
  echo "$database is up to date"
done
