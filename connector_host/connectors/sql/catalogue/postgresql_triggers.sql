-- How many triggers fire on writes to the relation; those of foreign keys change nothing in the row.
SELECT count(*) AS triggers
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())
