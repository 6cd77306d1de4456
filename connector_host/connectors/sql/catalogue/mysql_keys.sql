-- The columns of each unique index; a unique prefix makes the whole column unique, too.
SELECT index_name AS key_name,
       column_name AS column_name,
       index_name = 'PRIMARY' AS is_primary,
       0 AS is_partial
FROM information_schema.statistics
WHERE non_unique = 0 AND table_name = :table AND table_schema = coalesce(:schema, database())
ORDER BY index_name, seq_in_index
