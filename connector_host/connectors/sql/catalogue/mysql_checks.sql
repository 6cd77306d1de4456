-- The check constraints of one table.
SELECT k.constraint_name AS check_name, k.check_clause AS check_text
FROM information_schema.check_constraints AS k
JOIN information_schema.table_constraints AS t
  ON t.constraint_schema = k.constraint_schema AND t.constraint_name = k.constraint_name
WHERE t.constraint_type = 'CHECK' AND t.table_name = :table AND t.table_schema = coalesce(:schema, database())
