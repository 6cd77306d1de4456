-- How many triggers fire on writes to the table.
SELECT count(*) AS triggers FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table COLLATE NOCASE
