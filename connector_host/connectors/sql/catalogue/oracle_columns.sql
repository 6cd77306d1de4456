-- The columns of one table or view, in order; hidden ones are Oracle's own.
SELECT c.column_name AS name,
       c.data_type AS declared,
       c.char_length AS char_length,
       c.data_precision AS digits,
       c.data_scale AS scale,
       c.nullable AS nullable,
       c.data_default AS default_text,
       c.virtual_column AS is_virtual,
       i.generation_type AS identity_kind,
       m.comments AS comment_text
FROM all_tab_cols c
LEFT JOIN all_tab_identity_cols i
  ON i.owner = c.owner AND i.table_name = c.table_name AND i.column_name = c.column_name
LEFT JOIN all_col_comments m
  ON m.owner = c.owner AND m.table_name = c.table_name AND m.column_name = c.column_name
WHERE c.hidden_column = 'NO'
  AND c.table_name = :table AND c.owner = coalesce(:schema, sys_context('USERENV', 'CURRENT_SCHEMA'))
ORDER BY c.column_id
