-- How many triggers fire on writes to the table or view.
SELECT count(*) AS triggers
FROM all_triggers
WHERE status = 'ENABLED'
  AND table_name = :table AND table_owner = coalesce(:schema, sys_context('USERENV', 'CURRENT_SCHEMA'))
