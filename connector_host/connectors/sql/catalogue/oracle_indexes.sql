-- What each index leads with; an expression is told as Oracle spells it.
SELECT c.column_name AS first_key, '' AS collation_name, e.column_expression AS expression
FROM all_indexes i
JOIN all_ind_columns c ON c.index_owner = i.owner AND c.index_name = i.index_name AND c.column_position = 1
LEFT JOIN all_ind_expressions e
  ON e.index_owner = c.index_owner AND e.index_name = c.index_name AND e.column_position = 1
WHERE coalesce(i.status, 'VALID') <> 'UNUSABLE' AND coalesce(i.funcidx_status, 'ENABLED') <> 'DISABLED'
  AND i.table_name = :table AND i.table_owner = coalesce(:schema, sys_context('USERENV', 'CURRENT_SCHEMA'))
