-- read one
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = :k0
    k0

-- read two
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" IN (:k0, :k1)
    k0, k1

-- read by number
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Id" = :k0
    k0

-- read and lock
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = :k0 FOR UPDATE
    k0

-- insert one
INSERT INTO "HR"."Employees" ("Login", "Name") VALUES (:c0_0, :c1_0)
    c0_0, c1_0

-- update
UPDATE "HR"."Employees" SET "Name"=:c0, "Hired"=to_timestamp(:c1, 'YYYY-MM-DD HH24:MI:SS.FF6') WHERE "HR"."Employees"."Login" = :key_
    c0, c1, key_

-- delete
DELETE FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = :key_
    key_

-- page
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" ORDER BY "HR"."Employees"."Login" ASC FETCH FIRST :limit_ ROWS ONLY
    limit_

-- page with an offset
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" ORDER BY "HR"."Employees"."Login" ASC OFFSET :offset_ ROWS FETCH FIRST :limit_ ROWS ONLY
    limit_, offset_

-- page after an anchor
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" > :after_ ORDER BY "HR"."Employees"."Login" ASC FETCH FIRST :limit_ ROWS ONLY
    after_, limit_

-- page sorted by text
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", sys_extract_utc("HR"."Employees"."Left") AS "Left", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" ORDER BY CASE WHEN ("HR"."Employees"."Name" IS NULL) THEN 1 ELSE 0 END DESC, lower("HR"."Employees"."Name") DESC, "HR"."Employees"."Login" ASC FETCH FIRST :limit_ ROWS ONLY
    limit_

-- count
SELECT count(*) AS count_1 FROM "HR"."Employees" WHERE "HR"."Employees"."Name" IS NOT NULL
    

-- is the anchor taken
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = :key_
    key_

-- double
SELECT "HR"."Employees"."Login" AS key_, "HR"."Employees"."Login" AS text_ FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") IN (lower(:d0), lower(:d1))
    d0, d1

-- log
SELECT "HR"."Employees_changes"."number", "HR"."Employees_changes"."anchor" FROM "HR"."Employees_changes" WHERE ("HR"."Employees_changes"."number" > :number_1 OR "HR"."Employees_changes"."at" >= to_timestamp(:since, 'YYYY-MM-DD HH24:MI:SS.FF6')) AND "HR"."Employees_changes"."number" > :number_2 ORDER BY "HR"."Employees_changes"."number" FETCH FIRST __[POSTCOMPILE_param_1] ROWS ONLY
    number_1, number_2, param_1, since

-- end of the log
SELECT max("HR"."Employees_changes"."at") AS latest_at, max("HR"."Employees_changes"."number") AS last_number FROM "HR"."Employees_changes"
    

-- both ends of the log
SELECT min("HR"."Employees_changes"."number") AS first_number, max("HR"."Employees_changes"."number") AS last_number FROM "HR"."Employees_changes"
    

-- time of a row of the log
SELECT "HR"."Employees_changes"."at" FROM "HR"."Employees_changes" WHERE "HR"."Employees_changes"."number" = :number_1
    number_1

-- filled Id
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Id" IS NOT NULL
    

-- filled Login
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Login" IS NOT NULL
    

-- filled Name
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Name" IS NOT NULL
    

-- filled Code
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Code" IS NOT NULL
    

-- filled Number
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Number" IS NOT NULL
    

-- filled Salary
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Salary" IS NOT NULL
    

-- filled Hired
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Hired" IS NOT NULL
    

-- filled Left
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Left" IS NOT NULL
    

-- filled Born
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Born" IS NOT NULL
    

-- filled Notes
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Notes" IS NOT NULL
    

-- filled Small
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Small" IS NOT NULL
    

-- filled Shout
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Shout" IS NOT NULL
    

-- Login eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") = lower(:v0)
    v0

-- Login ne
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN (lower("HR"."Employees"."Login") = lower(:v0)) THEN 0 ELSE 1 END = 1
    v0

-- Login sw
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") LIKE lower(:v0) ESCAPE '!'
    v0

-- Login gt
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") > lower(:v0)
    v0

-- Name eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Name") = lower(:v0)
    v0

-- Name ne
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN (lower("HR"."Employees"."Name") = lower(:v0)) THEN 0 ELSE 1 END = 1
    v0

-- Name sw
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Name") LIKE lower(:v0) ESCAPE '!'
    v0

-- Name gt
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Name") > lower(:v0)
    v0

-- Code eq
SELECT 1 FROM "HR"."Employees" WHERE lower(rtrim("HR"."Employees"."Code")) = lower(:v0)
    v0

-- Code ne
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN (lower(rtrim("HR"."Employees"."Code")) = lower(:v0)) THEN 0 ELSE 1 END = 1
    v0

-- Code sw
SELECT 1 FROM "HR"."Employees" WHERE lower(rtrim("HR"."Employees"."Code")) LIKE lower(:v0) ESCAPE '!'
    v0

-- Code gt
SELECT 1 FROM "HR"."Employees" WHERE lower(rtrim("HR"."Employees"."Code")) > lower(:v0)
    v0

-- Number eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Number" = :v0
    v0

-- Number ge
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Number" >= :v0
    v0

-- Salary eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Salary" = :v0
    v0

-- Salary ge
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Salary" >= :v0
    v0

-- Hired eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Hired" = to_timestamp(:v0, 'YYYY-MM-DD HH24:MI:SS.FF6')
    v0

-- Hired ge
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Hired" >= to_timestamp(:v0, 'YYYY-MM-DD HH24:MI:SS.FF6')
    v0

-- Notes eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Notes") LIKE lower(:v0) ESCAPE '!'
    v0

-- Notes co
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Notes") LIKE lower(:v0) ESCAPE '!'
    v0

-- Small eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Small" = CAST(:v0 AS REAL)
    v0

-- not
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN ("HR"."Employees"."Number" = :v0) THEN 0 ELSE 1 END = 1
    v0

-- insert and learn the anchor
INSERT INTO "HR"."Employees" ("Login") VALUES (:"Login") RETURNING "HR"."Employees"."Id" INTO :ret_0
    "Login", ret_0

-- query: read one
SELECT source."Id", source."Login", source."Name", source."Code", source."Number", source."Salary", source."Hired", sys_extract_utc(source."Left") AS "Left", source."Born", source."Notes", source."Small", source."Shout" FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees e JOIN Other.Teams t ON t.Lead = e.Id) source WHERE source."Login" = :k0
    k0

-- query: page with an offset
SELECT source."Id", source."Login", source."Name", source."Code", source."Number", source."Salary", source."Hired", sys_extract_utc(source."Left") AS "Left", source."Born", source."Notes", source."Small", source."Shout" FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees e JOIN Other.Teams t ON t.Lead = e.Id) source ORDER BY CASE WHEN (source."Name" IS NULL) THEN 1 ELSE 0 END ASC, lower(source."Name") ASC, source."Login" ASC OFFSET :offset_ ROWS FETCH FIRST :limit_ ROWS ONLY
    limit_, offset_

-- query: filter
SELECT source."Id", source."Login", source."Name", source."Code", source."Number", source."Salary", source."Hired", sys_extract_utc(source."Left") AS "Left", source."Born", source."Notes", source."Small", source."Shout" FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees e JOIN Other.Teams t ON t.Lead = e.Id) source WHERE lower(source."Name") = lower(:v0) ORDER BY source."Login" ASC FETCH FIRST :limit_ ROWS ONLY
    limit_, v0

-- query: count
SELECT count(*) AS count_1 FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees e JOIN Other.Teams t ON t.Lead = e.Id) source WHERE source."Name" IS NOT NULL
    

-- query: is the anchor taken
SELECT 1 FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees e JOIN Other.Teams t ON t.Lead = e.Id) source WHERE source."Login" = :key_
    key_

-- query: lock
LOCK TABLE "EMPLOYEES" IN SHARE ROW EXCLUSIVE MODE
LOCK TABLE "OTHER"."TEAMS" IN SHARE ROW EXCLUSIVE MODE

-- query: grants
GRANT SELECT ON "HR"."EMPLOYEES" TO "scim";
GRANT SELECT ON "OTHER"."TEAMS" TO "scim";

-- lock for an anchor that nothing enforces
LOCK TABLE "HR"."Employees" IN SHARE ROW EXCLUSIVE MODE

-- change log made
CREATE TABLE "HR"."Employees_changes" ("number" number(19) GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "anchor" varchar2(450 CHAR) NOT NULL, "at" timestamp(6) DEFAULT sys_extract_utc(systimestamp) NOT NULL);
CREATE INDEX "HR"."Employees_changes_at" ON "HR"."Employees_changes" ("at");
CREATE TRIGGER "HR"."Employees_changes_log" AFTER INSERT OR UPDATE OR DELETE ON "HR"."Employees" FOR EACH ROW BEGIN IF NOT INSERTING THEN INSERT INTO "HR"."Employees_changes" ("anchor") VALUES (:OLD."Login"); END IF; IF NOT DELETING THEN INSERT INTO "HR"."Employees_changes" ("anchor") VALUES (:NEW."Login"); END IF; END;
/

-- change log away
DROP TRIGGER "HR"."Employees_changes_log";
DROP TABLE "HR"."Employees_changes" PURGE;

-- grants
GRANT SELECT, INSERT ("Login", "Name"), UPDATE ("Name"), DELETE ON "HR"."Employees" TO "scim";
