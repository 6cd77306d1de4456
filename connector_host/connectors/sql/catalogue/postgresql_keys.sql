-- The columns of each unique index; an invalid one binds nothing, a partial one only some rows. One on lower(column)
-- is a key of the column, too, that takes no second value in another case.
SELECT i.relname AS key_name,
       coalesce(a.attname, l.attname) AS column_name,
       x.indisprimary AS is_primary,
       x.indpred IS NOT NULL OR NOT x.indisvalid AS is_partial,
       NOT x.indimmediate AS is_deferred,
       l.attname IS NOT NULL OR t.typname = 'citext' AS folds
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL generate_series(0, x.indnkeyatts - 1) AS k (position)
LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[k.position]
LEFT JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attribute AS l
       ON x.indkey[k.position] = 0
      AND l.attrelid = x.indrelid
      AND pg_get_indexdef(x.indexrelid, k.position + 1, true)
          IN ('lower(' || quote_ident(l.attname) || ')', 'lower(' || quote_ident(l.attname) || '::text)')
WHERE x.indisunique AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())
ORDER BY i.relname, k.position
