-- Tables and views, but for DB2's own; no schema where it is the session's.
SELECT tabname AS name,
       CASE type WHEN 'V' THEN 'view' ELSE 'table' END AS kind,
       nullif(tabschema, CURRENT SCHEMA) AS schema_name
FROM syscat.tables
WHERE type IN ('T', 'V') AND tabschema NOT LIKE 'SYS%' AND tabschema <> 'NULLID'
ORDER BY CASE WHEN tabschema = CURRENT SCHEMA THEN 0 ELSE 1 END, tabschema, tabname
