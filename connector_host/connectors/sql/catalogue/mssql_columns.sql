-- The columns of one table or view, in order; alias types are resolved to the system's own.
SELECT c.name AS name,
       coalesce(b.name, t.name) AS declared,
       c.max_length AS byte_length,
       c.precision AS digits,
       c.scale AS scale,
       c.is_nullable AS nullable,
       d.definition AS default_text,
       c.is_identity AS is_identity,
       CASE WHEN c.is_computed = 1 OR c.generated_always_type <> 0 OR t.name = 'timestamp' THEN 1 ELSE 0 END AS is_made,
       c.collation_name AS collation_name,
       CAST(p.value AS nvarchar(4000)) AS comment_text
FROM sys.columns AS c
JOIN sys.objects AS o ON o.object_id = c.object_id
JOIN sys.schemas AS s ON s.schema_id = o.schema_id
JOIN sys.types AS t ON t.user_type_id = c.user_type_id
LEFT JOIN sys.types AS b ON b.user_type_id = c.system_type_id
LEFT JOIN sys.default_constraints AS d ON d.object_id = c.default_object_id
LEFT JOIN sys.extended_properties AS p
  ON p.class = 1 AND p.major_id = c.object_id AND p.minor_id = c.column_id AND p.name = 'MS_Description'
WHERE o.name = :table AND s.name = coalesce(:schema, schema_name()) AND o.type IN ('U', 'V')
ORDER BY c.column_id
