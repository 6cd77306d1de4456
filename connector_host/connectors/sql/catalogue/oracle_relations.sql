-- Tables and views that the login may see, but for Oracle's own; no schema where it is the session's.
SELECT o.object_name AS name,
       CASE o.object_type WHEN 'VIEW' THEN 'view' ELSE 'table' END AS kind,
       nullif(o.owner, sys_context('USERENV', 'CURRENT_SCHEMA')) AS schema_name
FROM all_objects o
JOIN all_users u ON u.username = o.owner
WHERE o.object_type IN ('TABLE', 'VIEW') AND o.secondary = 'N' AND u.oracle_maintained = 'N'
ORDER BY CASE WHEN o.owner = sys_context('USERENV', 'CURRENT_SCHEMA') THEN 0 ELSE 1 END, o.owner, o.object_name
