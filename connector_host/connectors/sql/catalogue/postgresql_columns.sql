-- The columns of one relation, in order; domains, and domains over domains, are resolved to their base type.
SELECT a.attname AS name,
       format_type(base.type, NULL) AS declared,
       base.modifier,
       a.attnotnull OR base.not_null AS not_null,
       coalesce(pg_get_expr(d.adbin, d.adrelid), t.typdefault) AS default_text,
       a.attidentity AS identity_kind,
       a.attgenerated AS generated_kind,
       l.collname AS collation_name,
       NOT coalesce(l.collisdeterministic, true) AS is_nondeterministic,
       col_description(a.attrelid, a.attnum) AS comment_text,
       (SELECT string_agg(e.enumlabel, chr(31) ORDER BY e.enumsortorder)
        FROM pg_enum AS e WHERE e.enumtypid = base.type) AS labels
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
CROSS JOIN LATERAL (
    WITH RECURSIVE bases (type, modifier, not_null, step) AS (
        SELECT a.atttypid, a.atttypmod, false, 0
        UNION ALL
        SELECT o.typbasetype, o.typtypmod, b.not_null OR o.typnotnull, b.step + 1
        FROM bases AS b JOIN pg_type AS o ON o.oid = b.type
        WHERE o.typtype = 'd'
    )
    SELECT * FROM bases ORDER BY step DESC LIMIT 1
) AS base
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE c.relname = :table
  AND n.nspname = coalesce(:schema, current_schema())
  AND c.relkind IN ('r', 'v', 'm', 'p', 'f')
  AND a.attnum > 0
  AND NOT a.attisdropped
ORDER BY a.attnum
