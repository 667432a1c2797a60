"""What is remembered: rows in SQLite or Postgres; recordings on disk, in Supabase or in Azure.

The only package that speaks SQL. One file per thing remembered; ``database.py`` opens transactions
and hands out the nouns, ``schema.py`` holds the tables, ``migrations/`` makes them.
``files.py`` opens the storage the settings name.
"""
