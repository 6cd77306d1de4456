-- How many triggers fire on writes to the relation; those of foreign keys change nothing in the row. And how many may
-- fill columns of a new row before it is kept: of rows (1), at INSERT (4), BEFORE (2) or INSTEAD OF (64).
SELECT count(*) AS triggers,
       count(*) FILTER (WHERE g.tgtype & 5 = 5 AND g.tgtype & 66 <> 0 AND g.tgenabled <> 'D') AS fills
FROM pg_trigger AS g
JOIN pg_class AS c ON c.oid = g.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND c.relname = :table AND n.nspname = coalesce(:schema, current_schema())
