-- How many triggers fire on writes to the table, how many may fill columns of a new row before it is kept, and its
-- storage engine where that knows no transactions.
SELECT count(*) AS triggers,
       count(CASE WHEN action_timing = 'BEFORE' AND event_manipulation = 'INSERT' THEN 1 END) AS fills,
       (SELECT max(t.engine)
        FROM information_schema.tables AS t
        JOIN information_schema.engines AS e ON e.engine = t.engine
        WHERE coalesce(e.transactions, 'NO') <> 'YES'
          AND t.table_name = :table AND t.table_schema = coalesce(:schema, database())) AS cannot_undo
FROM information_schema.triggers
WHERE event_object_table = :table AND event_object_schema = coalesce(:schema, database())
