-- Tables and views outside of the system's own schemas; no schema where it is the connection's own.
SELECT table_name AS name,
       CASE table_type WHEN 'BASE TABLE' THEN 'table' ELSE 'view' END AS kind,
       nullif(table_schema, database()) AS schema_name
FROM information_schema.tables
WHERE table_schema NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
  AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'VIEW')
ORDER BY schema_name IS NOT NULL, schema_name, name
