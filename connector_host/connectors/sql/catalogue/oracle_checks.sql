-- The check constraints of one table; NOT NULL is one, too, and says nothing new.
SELECT constraint_name AS check_name, search_condition_vc AS check_text
FROM all_constraints
WHERE constraint_type = 'C' AND status = 'ENABLED' AND search_condition_vc IS NOT NULL
  AND table_name = :table AND owner = coalesce(:schema, sys_context('USERENV', 'CURRENT_SCHEMA'))
