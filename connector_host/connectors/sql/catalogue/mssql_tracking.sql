-- Whether changes of one table are tracked; no row where they are not, or the login may not see it.
SELECT t.object_id AS object_id,
       CHANGE_TRACKING_MIN_VALID_VERSION(t.object_id) AS oldest,
       d.snapshot_isolation_state AS snapshots
FROM sys.change_tracking_tables AS t
JOIN sys.objects AS o ON o.object_id = t.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.databases AS d ON d.database_id = db_id()
WHERE o.name = :table AND s.name = coalesce(:schema, schema_name())
