-- The check constraints of one table.
SELECT k.name AS check_name, k.definition AS check_text
FROM sys.check_constraints AS k
JOIN sys.objects AS o ON o.object_id = k.parent_object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
WHERE k.is_disabled = 0 AND o.name = :table AND s.name = coalesce(:schema, schema_name())
