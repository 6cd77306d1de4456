-- The columns of one relation, in order; domains are resolved to their base type, one step.
SELECT a.attname AS name,
       format_type(CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE a.atttypid END, NULL) AS declared,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END AS modifier,
       t.typtype AS type_class,
       a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS default_text,
       a.attidentity AS identity_kind,
       a.attgenerated AS generated_kind,
       l.collname AS collation_name,
       col_description(a.attrelid, a.attnum) AS comment_text,
       (SELECT string_agg(e.enumlabel, chr(31) ORDER BY e.enumsortorder)
        FROM pg_enum AS e WHERE e.enumtypid = a.atttypid) AS labels
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE c.relname = :table
  AND n.nspname = coalesce(:schema, current_schema())
  AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attnum
