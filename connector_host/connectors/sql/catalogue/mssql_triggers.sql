-- How many triggers fire on writes to the table or view.
SELECT count(*) AS triggers
FROM sys.triggers AS g
JOIN sys.objects AS o ON o.object_id = g.parent_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE g.is_disabled = 0 AND o.name = :table AND s.name = coalesce(:schema, schema_name())
