-- The check constraints of one table.
SELECT k.conname AS check_name, pg_get_constraintdef(k.oid) AS check_text
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'c' AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())
