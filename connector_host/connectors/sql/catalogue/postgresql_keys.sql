-- The columns of each unique index; an invalid one binds nothing, a partial one only some rows.
SELECT i.relname AS key_name,
       a.attname AS column_name,
       x.indisprimary AS is_primary,
       x.indpred IS NOT NULL OR NOT x.indisvalid AS is_partial,
       NOT x.indimmediate AS is_deferred
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL generate_series(0, x.indnkeyatts - 1) AS k (position)
LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k.position]
WHERE x.indisunique AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())
ORDER BY i.relname, k.position
