-- read one
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = ?
    k0

-- read two
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" IN (?, ?)
    k0, k1

-- read by number
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Id" = ?
    k0

-- read and lock
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = ? WITH RS USE AND KEEP UPDATE LOCKS
    k0

-- insert one
INSERT INTO "HR"."Employees" ("Login", "Name") VALUES (?, ?)
    c0_0, c1_0

-- update
UPDATE "HR"."Employees" SET "Name"=?, "Hired"=? WHERE "HR"."Employees"."Login" = ?
    c0, c1, key_

-- delete
DELETE FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = ?
    key_

-- page
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" ORDER BY "HR"."Employees"."Login" ASC FETCH FIRST ? ROWS ONLY
    limit_

-- page with an offset
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" ORDER BY "HR"."Employees"."Login" ASC OFFSET ? ROWS FETCH FIRST ? ROWS ONLY
    offset_, limit_

-- page after an anchor
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" WHERE "HR"."Employees"."Login" > ? ORDER BY "HR"."Employees"."Login" ASC FETCH FIRST ? ROWS ONLY
    after_, limit_

-- page sorted by text
SELECT "HR"."Employees"."Id", "HR"."Employees"."Login", "HR"."Employees"."Name", "HR"."Employees"."Code", "HR"."Employees"."Number", "HR"."Employees"."Salary", "HR"."Employees"."Hired", "HR"."Employees"."Born", "HR"."Employees"."Notes", "HR"."Employees"."Small", "HR"."Employees"."Shout" FROM "HR"."Employees" ORDER BY CASE WHEN ("HR"."Employees"."Name" IS NULL) THEN 1 ELSE 0 END DESC, lower("HR"."Employees"."Name") DESC, "HR"."Employees"."Login" ASC FETCH FIRST ? ROWS ONLY
    limit_

-- count
SELECT count(*) AS count_1 FROM "HR"."Employees" WHERE "HR"."Employees"."Name" IS NOT NULL AND "HR"."Employees"."Name" != ''
    

-- is the anchor taken
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Login" = ?
    key_

-- double
SELECT "HR"."Employees"."Login" AS key_, "HR"."Employees"."Login" AS text_ FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") IN (lower(CAST(? AS VARCHAR(32672))), lower(CAST(? AS VARCHAR(32672))))
    d0, d1

-- log
SELECT "HR"."Employees_changes"."number", "HR"."Employees_changes"."anchor" FROM "HR"."Employees_changes" WHERE ("HR"."Employees_changes"."number" > ? OR "HR"."Employees_changes"."at" >= ?) AND "HR"."Employees_changes"."number" > ? ORDER BY "HR"."Employees_changes"."number" FETCH FIRST ? ROWS ONLY
    number_1, since, number_2, param_1

-- end of the log
SELECT max("HR"."Employees_changes"."at") AS latest_at, max("HR"."Employees_changes"."number") AS last_number FROM "HR"."Employees_changes"
    

-- both ends of the log
SELECT min("HR"."Employees_changes"."number") AS first_number, max("HR"."Employees_changes"."number") AS last_number FROM "HR"."Employees_changes"
    

-- time of a row of the log
SELECT "HR"."Employees_changes"."at" FROM "HR"."Employees_changes" WHERE "HR"."Employees_changes"."number" = ?
    number_1

-- filled Id
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Id" IS NOT NULL
    

-- filled Login
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Login" IS NOT NULL AND "HR"."Employees"."Login" != ''
    

-- filled Name
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Name" IS NOT NULL AND "HR"."Employees"."Name" != ''
    

-- filled Code
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Code" IS NOT NULL AND "HR"."Employees"."Code" != ''
    

-- filled Number
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Number" IS NOT NULL
    

-- filled Salary
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Salary" IS NOT NULL
    

-- filled Hired
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Hired" IS NOT NULL
    

-- filled Born
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Born" IS NOT NULL
    

-- filled Notes
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Notes" IS NOT NULL AND "HR"."Employees"."Notes" NOT LIKE ''
    

-- filled Small
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Small" IS NOT NULL
    

-- filled Shout
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Shout" IS NOT NULL AND "HR"."Employees"."Shout" != ''
    

-- Login eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") = lower(CAST(? AS VARCHAR(32672))) AND length("HR"."Employees"."Login") = length(CAST(? AS VARCHAR(32672)))
    v0, v0

-- Login ne
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN (lower("HR"."Employees"."Login") = lower(CAST(? AS VARCHAR(32672))) AND length("HR"."Employees"."Login") = length(CAST(? AS VARCHAR(32672)))) THEN 0 ELSE 1 END = 1
    v0, v0

-- Login sw
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") LIKE lower(CAST(? AS VARCHAR(32672))) ESCAPE '!'
    v0

-- Login gt
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Login") > lower(CAST(? AS VARCHAR(32672)))
    v0

-- Name eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Name") = lower(CAST(? AS VARCHAR(32672))) AND length("HR"."Employees"."Name") = length(CAST(? AS VARCHAR(32672)))
    v0, v0

-- Name ne
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN (lower("HR"."Employees"."Name") = lower(CAST(? AS VARCHAR(32672))) AND length("HR"."Employees"."Name") = length(CAST(? AS VARCHAR(32672)))) THEN 0 ELSE 1 END = 1
    v0, v0

-- Name sw
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Name") LIKE lower(CAST(? AS VARCHAR(32672))) ESCAPE '!'
    v0

-- Name gt
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Name") > lower(CAST(? AS VARCHAR(32672)))
    v0

-- Code eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Code") = lower(CAST(? AS VARCHAR(32672)))
    v0

-- Code ne
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN (lower("HR"."Employees"."Code") = lower(CAST(? AS VARCHAR(32672)))) THEN 0 ELSE 1 END = 1
    v0

-- Code sw
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Code") LIKE lower(CAST(? AS VARCHAR(32672))) ESCAPE '!'
    v0

-- Code gt
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Code") > lower(CAST(? AS VARCHAR(32672)))
    v0

-- Number eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Number" = ?
    v0

-- Number ge
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Number" >= ?
    v0

-- Salary eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Salary" = ?
    v0

-- Salary ge
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Salary" >= ?
    v0

-- Hired eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Hired" = ?
    v0

-- Hired ge
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Hired" >= ?
    v0

-- Notes eq
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Notes") LIKE lower(CAST(? AS VARCHAR(32672))) ESCAPE '!'
    v0

-- Notes co
SELECT 1 FROM "HR"."Employees" WHERE lower("HR"."Employees"."Notes") LIKE lower(CAST(? AS VARCHAR(32672))) ESCAPE '!'
    v0

-- Small eq
SELECT 1 FROM "HR"."Employees" WHERE "HR"."Employees"."Small" = CAST(? AS REAL)
    v0

-- not
SELECT 1 FROM "HR"."Employees" WHERE CASE WHEN ("HR"."Employees"."Number" = ?) THEN 0 ELSE 1 END = 1
    v0

-- insert and learn the anchor, without triggers
SELECT "Id" FROM FINAL TABLE (INSERT INTO "HR"."Employees" ("Login") VALUES (?))

-- insert and learn the anchor, with triggers
SELECT "Id" FROM NEW TABLE (INSERT INTO "HR"."Employees" ("Login") VALUES (?))

-- query: read one
SELECT source."Id", source."Login", source."Name", source."Code", source."Number", source."Salary", source."Hired", source."Born", source."Notes", source."Small", source."Shout" FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source."Login" = ?
    k0

-- query: page with an offset
SELECT source."Id", source."Login", source."Name", source."Code", source."Number", source."Salary", source."Hired", source."Born", source."Notes", source."Small", source."Shout" FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source ORDER BY CASE WHEN (source."Name" IS NULL) THEN 1 ELSE 0 END ASC, lower(source."Name") ASC, source."Login" ASC OFFSET ? ROWS FETCH FIRST ? ROWS ONLY
    offset_, limit_

-- query: filter
SELECT source."Id", source."Login", source."Name", source."Code", source."Number", source."Salary", source."Hired", source."Born", source."Notes", source."Small", source."Shout" FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE lower(source."Name") = lower(CAST(? AS VARCHAR(32672))) AND length(source."Name") = length(CAST(? AS VARCHAR(32672))) ORDER BY source."Login" ASC FETCH FIRST ? ROWS ONLY
    v0, v0, limit_

-- query: count
SELECT count(*) AS count_1 FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source."Name" IS NOT NULL AND source."Name" != ''
    

-- query: is the anchor taken
SELECT 1 FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source."Login" = ?
    key_

-- query: lock
LOCK TABLE "EMPLOYEES" IN EXCLUSIVE MODE
LOCK TABLE "OWN"."MEMBER" IN EXCLUSIVE MODE
LOCK TABLE "OWN"."TEAM" IN EXCLUSIVE MODE

-- query: grants
GRANT SELECT ON TABLE "HR"."EMPLOYEES" TO USER "scim";
GRANT SELECT ON TABLE "OTHER"."TEAMS" TO USER "scim";

-- lock for an anchor that nothing enforces
LOCK TABLE "HR"."Employees" IN EXCLUSIVE MODE

-- change log made
CREATE TABLE "HR"."Employees_changes" ("number" bigint NOT NULL GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "anchor" varchar(450) NOT NULL, "at" timestamp(6) NOT NULL);
CREATE INDEX "HR"."Employees_changes_at" ON "HR"."Employees_changes" ("at");
CREATE TRIGGER "HR"."Employees_changes_insert" AFTER INSERT ON "HR"."Employees" REFERENCING NEW AS n FOR EACH ROW INSERT INTO "HR"."Employees_changes" ("anchor", "at") VALUES (varchar(n."Login"), CURRENT TIMESTAMP - CURRENT TIMEZONE);
CREATE TRIGGER "HR"."Employees_changes_update" AFTER UPDATE ON "HR"."Employees" REFERENCING OLD AS o NEW AS n FOR EACH ROW INSERT INTO "HR"."Employees_changes" ("anchor", "at") VALUES (varchar(o."Login"), CURRENT TIMESTAMP - CURRENT TIMEZONE), (varchar(n."Login"), CURRENT TIMESTAMP - CURRENT TIMEZONE);
CREATE TRIGGER "HR"."Employees_changes_delete" AFTER DELETE ON "HR"."Employees" REFERENCING OLD AS o FOR EACH ROW INSERT INTO "HR"."Employees_changes" ("anchor", "at") VALUES (varchar(o."Login"), CURRENT TIMESTAMP - CURRENT TIMEZONE);

-- change log away
DROP TRIGGER "HR"."Employees_changes_insert";
DROP TRIGGER "HR"."Employees_changes_update";
DROP TRIGGER "HR"."Employees_changes_delete";
DROP TABLE "HR"."Employees_changes";

-- grants
GRANT SELECT, INSERT, UPDATE ("Name"), DELETE ON TABLE "HR"."Employees" TO USER "scim";
