-- How many triggers fire on writes to the table.
SELECT count(*) AS triggers
FROM information_schema.triggers
WHERE event_object_table = :table AND event_object_schema = coalesce(:schema, database())
