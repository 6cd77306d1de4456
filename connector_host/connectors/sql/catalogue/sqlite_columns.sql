-- The columns of one table or view, in order; hidden is 2 or 3 for generated columns. A file has one schema, main.
SELECT name,
       type AS declared,
       "notnull" AS not_null,
       dflt_value AS default_text,
       pk AS key_position,
       hidden
FROM pragma_table_xinfo(:table)
WHERE hidden <> 1 AND lower(coalesce(:schema, 'main')) = 'main'
ORDER BY cid
