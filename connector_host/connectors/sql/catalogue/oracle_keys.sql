-- The columns of each unique index, and of each index behind a unique constraint; a constraint's name goes first, since
-- errors say it. Without a value in any column, a row is in no index, and so in no one's way.
SELECT coalesce(k.constraint_name, i.index_name) AS key_name,
       c.column_name AS column_name,
       e.column_expression AS expression,
       CASE k.constraint_type WHEN 'P' THEN 1 ELSE 0 END AS is_primary,
       CASE WHEN i.status = 'UNUSABLE' OR i.funcidx_status = 'DISABLED' THEN 1 ELSE 0 END AS is_partial,
       CASE k.deferrable WHEN 'DEFERRABLE' THEN 1 ELSE 0 END AS is_deferred
FROM all_indexes i
JOIN all_ind_columns c ON c.index_owner = i.owner AND c.index_name = i.index_name
LEFT JOIN all_constraints k
  ON k.owner = i.table_owner AND k.table_name = i.table_name AND k.index_name = i.index_name
 AND k.constraint_type IN ('P', 'U') AND k.status = 'ENABLED' AND k.validated = 'VALIDATED'
LEFT JOIN all_ind_expressions e
  ON e.index_owner = c.index_owner AND e.index_name = c.index_name AND e.column_position = c.column_position
WHERE (i.uniqueness = 'UNIQUE' OR k.constraint_name IS NOT NULL)
  AND i.table_name = :table AND i.table_owner = coalesce(:schema, sys_context('USERENV', 'CURRENT_SCHEMA'))
ORDER BY 1, c.column_position
