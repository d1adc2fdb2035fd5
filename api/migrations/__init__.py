"""The Alembic scripts of the database; run by `api.schema_version`, never by hand."""
