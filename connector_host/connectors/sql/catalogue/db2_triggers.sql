-- How many triggers fire on writes to the table or view.
SELECT count(*) AS triggers
FROM syscat.triggers
WHERE enabled <> 'N' AND tabname = :table AND tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
