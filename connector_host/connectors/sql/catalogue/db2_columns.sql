-- The columns of one table or view, in order; a code page of 0 says that text is kept as bytes.
SELECT c.colname AS name,
       c.typename AS declared,
       coalesce(c.stringunitslength, c.length) AS char_length,
       c.length AS digits,
       c.scale AS scale,
       c.codepage AS code_page,
       c.nulls AS nullable,
       c.default AS default_text,
       c.identity AS is_identity,
       c.generated AS generated_kind,
       c.rowchangetimestamp AS is_row_change,
       c.remarks AS comment_text
FROM syscat.columns AS c
WHERE c.hidden <> 'I' AND c.tabname = :table AND c.tabschema = coalesce(CAST(:schema AS VARCHAR(128)), CURRENT SCHEMA)
ORDER BY c.colno
