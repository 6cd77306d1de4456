-- What each index leads with; partial ones hold only some rows, an expression has no name.
SELECT coalesce(c.name, '') AS first_key, c.coll AS collation_name
FROM pragma_index_list(:table) AS i
JOIN pragma_index_xinfo(i.name) AS c
WHERE c.seqno = 0 AND i.partial = 0
