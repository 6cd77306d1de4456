-- Tables and views that the login may see, outside of the system's own schemas; no schema where it is the default.
SELECT c.relname AS name,
       CASE WHEN c.relkind IN ('v', 'm') THEN 'view' ELSE 'table' END AS kind,
       nullif(n.nspname, current_schema()) AS schema_name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f')
  AND NOT c.relispartition
  AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg\_toast%'
  AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 3 NULLS FIRST, 1
