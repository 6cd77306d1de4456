-- The check constraints of one table; their names are unique within the table only, unlike in MySQL.
SELECT constraint_name AS check_name, check_clause AS check_text
FROM information_schema.check_constraints
WHERE table_name = :table AND constraint_schema = coalesce(:schema, database())
