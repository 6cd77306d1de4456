-- What each index leads with; filtered and disabled ones serve no ordinary query.
SELECT c.name AS first_key, '' AS collation_name
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.key_ordinal = 1
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.has_filter = 0 AND i.is_disabled = 0 AND o.name = :table AND s.name = coalesce(:schema, schema_name())
