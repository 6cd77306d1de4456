-- The columns of each unique index; a filtered or disabled one does not bind every row.
SELECT i.name AS key_name,
       c.name AS column_name,
       i.is_primary_key AS is_primary,
       CASE WHEN i.has_filter = 1 OR i.is_disabled = 1 THEN 1 ELSE 0 END AS is_partial
FROM sys.indexes AS i
JOIN sys.objects AS o ON o.object_id = i.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.index_columns AS k ON k.object_id = i.object_id AND k.index_id = i.index_id AND k.is_included_column = 0
JOIN sys.columns AS c ON c.object_id = k.object_id AND c.column_id = k.column_id
WHERE i.is_unique = 1 AND o.name = :table AND s.name = coalesce(:schema, schema_name())
ORDER BY i.name, k.key_ordinal
