-- The columns of each unique index; partial ones bind only some rows, expressions have no column name.
SELECT i.name AS key_name,
       c.name AS column_name,
       i.origin = 'pk' AS is_primary,
       i.partial AS is_partial,
       upper(c.coll) = 'NOCASE' AS folds
FROM pragma_index_list(:table) AS i
JOIN pragma_index_xinfo(i.name) AS c
WHERE i."unique" = 1 AND c."key" = 1
ORDER BY i.name, c.seqno
