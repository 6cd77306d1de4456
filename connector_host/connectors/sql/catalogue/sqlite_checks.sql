-- The text of CREATE TABLE, which holds its check constraints.
SELECT '' AS check_name, sql AS check_text
FROM sqlite_master
WHERE name = :table COLLATE NOCASE AND type = 'table'
