-- Tables and views that a person made.
SELECT name, type AS kind, NULL AS schema_name
FROM sqlite_master
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\_%' ESCAPE '\'
ORDER BY name
