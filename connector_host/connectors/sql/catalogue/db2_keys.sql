-- The columns of each unique index, named by the number that errors say (SQL0803N). One that is over an expression is
-- told by the expression.
SELECT CAST(i.iid AS VARCHAR(10)) AS key_name,
       u.colname AS column_name,
       u.text AS expression,
       CASE i.uniquerule WHEN 'P' THEN 1 ELSE 0 END AS is_primary,
       0 AS is_partial
FROM syscat.indexes AS i
JOIN syscat.indexcoluse AS u ON u.indschema = i.indschema AND u.indname = i.indname
WHERE i.uniquerule IN ('U', 'P') AND u.colorder <> 'I'
  AND i.tabname = :table AND i.tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
ORDER BY i.iid, u.colseq
