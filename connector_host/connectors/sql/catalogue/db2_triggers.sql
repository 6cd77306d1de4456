-- How many triggers fire on writes to the table or view, and how many may fill columns of a new row before it is kept.
SELECT count(*) AS triggers,
       count(CASE WHEN trigtime IN ('B', 'I') AND trigevent IN ('I', 'M') THEN 1 END) AS fills
FROM syscat.triggers
WHERE enabled <> 'N' AND tabname = :table AND tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
