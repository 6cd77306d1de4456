-- What each index leads with, a column or an expression; partial and invalid ones serve no ordinary query.
SELECT pg_get_indexdef(x.indexrelid, 1, true) AS first_key, '' AS collation_name
FROM pg_index AS x
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE x.indpred IS NULL AND x.indisvalid AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())
