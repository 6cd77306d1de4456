-- What each index leads with; an expression has no column name.
SELECT coalesce(column_name, '') AS first_key, '' AS collation_name
FROM information_schema.statistics
WHERE seq_in_index = 1 AND table_name = :table AND table_schema = coalesce(:schema, database())
