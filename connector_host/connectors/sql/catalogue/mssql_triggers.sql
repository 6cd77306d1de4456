-- How many triggers fire on writes to the table or view, and how many may fill columns of a new row before it is kept.
SELECT count(*) AS triggers, count(CASE WHEN g.is_instead_of_trigger = 1 THEN 1 END) AS fills
FROM sys.triggers AS g
JOIN sys.objects AS o ON o.object_id = g.parent_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE g.is_disabled = 0 AND o.name = :table AND s.name = coalesce(:schema, schema_name())
