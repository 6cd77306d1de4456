-- Tables and views that the login may see; no schema where it is the login's own default.
SELECT o.name AS name,
       CASE o.type WHEN 'V' THEN 'view' ELSE 'table' END AS kind,
       nullif(s.name, schema_name()) AS schema_name
FROM sys.objects AS o
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0
ORDER BY CASE WHEN s.name = schema_name() THEN 0 ELSE 1 END, s.name, o.name
