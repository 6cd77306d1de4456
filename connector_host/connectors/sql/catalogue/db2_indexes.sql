-- What each index leads with; an expression is told as DB2 spells it.
SELECT u.colname AS first_key, '' AS collation_name, u.text AS expression
FROM syscat.indexes AS i
JOIN syscat.indexcoluse AS u ON u.indschema = i.indschema AND u.indname = i.indname AND u.colseq = 1
WHERE i.tabname = :table AND i.tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
