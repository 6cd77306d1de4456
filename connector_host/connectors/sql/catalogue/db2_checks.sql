-- The check constraints of one table.
SELECT constname AS check_name, CAST(substr(text, 1, 4000) AS VARCHAR(4000)) AS check_text
FROM syscat.checks
WHERE type = 'C' AND tabname = :table AND tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
