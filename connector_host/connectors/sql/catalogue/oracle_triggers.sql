-- How many triggers fire on writes to the table or view, and how many may fill columns of a new row before it is kept.
SELECT count(*) AS triggers,
       count(CASE WHEN triggering_event LIKE '%INSERT%'
                   AND trigger_type IN ('BEFORE EACH ROW', 'INSTEAD OF', 'COMPOUND') THEN 1 END) AS fills
FROM all_triggers
WHERE status = 'ENABLED'
  AND table_name = :table AND table_owner = coalesce(:schema, sys_context('USERENV', 'CURRENT_SCHEMA'))
