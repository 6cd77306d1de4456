-- The columns of one table or view, in order.
SELECT column_name AS name,
       column_type AS declared,
       data_type AS base_type,
       character_maximum_length AS char_length,
       numeric_precision AS digits,
       numeric_scale AS scale,
       datetime_precision AS fraction_digits,
       is_nullable = 'NO' AS not_null,
       column_default AS default_text,
       extra AS extra,
       collation_name AS collation_name,
       column_comment AS comment_text
FROM information_schema.columns
WHERE table_name = :table AND table_schema = coalesce(:schema, database())
ORDER BY ordinal_position
