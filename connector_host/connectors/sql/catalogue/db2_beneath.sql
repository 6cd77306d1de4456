-- The tables that a table or view is made of, itself where it is a table, always in the same order.
WITH beneath (schema_name, name, kind) AS (
    SELECT tabschema, tabname, type
    FROM syscat.tables
    WHERE tabname = :table AND tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
    UNION ALL
    SELECT d.bschema, d.bname, d.btype
    FROM beneath AS b, syscat.tabdep AS d
    WHERE d.tabschema = b.schema_name AND d.tabname = b.name AND b.kind = 'V' AND d.btype IN ('T', 'V')
)
SELECT DISTINCT schema_name, name FROM beneath WHERE kind = 'T' ORDER BY schema_name, name
