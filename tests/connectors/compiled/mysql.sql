-- read one
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` = %(k0)s
    k0

-- read two
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` IN (%(k0)s, %(k1)s)
    k0, k1

-- read by number
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Id` = %(k0)s
    k0

-- read and lock
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` = %(k0)s FOR UPDATE
    k0

-- insert one
INSERT INTO `HR`.`Employees` (`Login`, `Name`) VALUES (%(c0_0)s, %(c1_0)s)
    c0_0, c1_0

-- update
UPDATE `HR`.`Employees` SET `Name`=%(c0)s, `Hired`=%(c1)s WHERE `HR`.`Employees`.`Login` = %(key_)s
    c0, c1, key_

-- delete
DELETE FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` = %(key_)s
    key_

-- page
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` ORDER BY `HR`.`Employees`.`Login` ASC LIMIT %(limit_)s
    limit_

-- page with an offset
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` ORDER BY `HR`.`Employees`.`Login` ASC LIMIT %(offset_)s, %(limit_)s
    limit_, offset_

-- page after an anchor
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` > %(after_)s ORDER BY `HR`.`Employees`.`Login` ASC LIMIT %(limit_)s
    after_, limit_

-- page sorted by text
SELECT `HR`.`Employees`.`Id`, `HR`.`Employees`.`Login`, `HR`.`Employees`.`Name`, `HR`.`Employees`.`Code`, `HR`.`Employees`.`Number`, `HR`.`Employees`.`Salary`, `HR`.`Employees`.`Hired`, `HR`.`Employees`.`Notes`, `HR`.`Employees`.`Small` FROM `HR`.`Employees` ORDER BY CASE WHEN (`HR`.`Employees`.`Name` IS NULL) THEN 1 ELSE 0 END DESC, lower(CAST(`HR`.`Employees`.`Name` AS CHAR)) DESC, `HR`.`Employees`.`Login` ASC LIMIT %(limit_)s
    limit_

-- count
SELECT count(*) AS count_1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Name` IS NOT NULL AND `HR`.`Employees`.`Name` != ''
    

-- is the anchor taken
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` = %(key_)s
    key_

-- double
SELECT `HR`.`Employees`.`Login` AS key_, `HR`.`Employees`.`Login` AS text_ FROM `HR`.`Employees` WHERE lower(CAST(`HR`.`Employees`.`Login` AS CHAR)) IN (lower(%(d0)s), lower(%(d1)s))
    d0, d1

-- log
SELECT `HR`.`Employees_changes`.`number`, `HR`.`Employees_changes`.`anchor` FROM `HR`.`Employees_changes` WHERE (`HR`.`Employees_changes`.`number` > %(number_1)s OR `HR`.`Employees_changes`.`at` >= %(since)s) AND `HR`.`Employees_changes`.`number` > %(number_2)s ORDER BY `HR`.`Employees_changes`.`number` LIMIT %(param_1)s
    number_1, number_2, param_1, since

-- end of the log
SELECT max(`HR`.`Employees_changes`.`at`) AS latest_at, max(`HR`.`Employees_changes`.`number`) AS last_number FROM `HR`.`Employees_changes`
    

-- both ends of the log
SELECT min(`HR`.`Employees_changes`.`number`) AS first_number, max(`HR`.`Employees_changes`.`number`) AS last_number FROM `HR`.`Employees_changes`
    

-- time of a row of the log
SELECT `HR`.`Employees_changes`.`at` FROM `HR`.`Employees_changes` WHERE `HR`.`Employees_changes`.`number` = %(number_1)s
    number_1

-- insert two
INSERT INTO `HR`.`Employees` (`Login`, `Name`) VALUES (%(c0_0)s, %(c1_0)s), (%(c0_1)s, %(c1_1)s)
    c0_0, c0_1, c1_0, c1_1

-- filled Id
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Id` IS NOT NULL
    

-- filled Login
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` IS NOT NULL AND `HR`.`Employees`.`Login` != ''
    

-- filled Name
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Name` IS NOT NULL AND `HR`.`Employees`.`Name` != ''
    

-- filled Code
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Code` IS NOT NULL AND `HR`.`Employees`.`Code` != ''
    

-- filled Number
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Number` IS NOT NULL
    

-- filled Salary
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Salary` IS NOT NULL
    

-- filled Hired
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Hired` IS NOT NULL
    

-- filled Notes
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Notes` IS NOT NULL AND `HR`.`Employees`.`Notes` != ''
    

-- filled Small
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Small` IS NOT NULL
    

-- Login eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Login` = %(v0)s AND CAST(lower(CAST(`HR`.`Employees`.`Login` AS CHAR)) AS BINARY) = CAST(lower(%(v0)s) AS BINARY)
    v0

-- Login ne
SELECT 1 FROM `HR`.`Employees` WHERE CASE WHEN (`HR`.`Employees`.`Login` = %(v0)s AND CAST(lower(CAST(`HR`.`Employees`.`Login` AS CHAR)) AS BINARY) = CAST(lower(%(v0)s) AS BINARY)) THEN 0 ELSE 1 END = 1
    v0

-- Login sw
SELECT 1 FROM `HR`.`Employees` WHERE lower(CAST(`HR`.`Employees`.`Login` AS CHAR)) LIKE lower(%(v0)s) ESCAPE '!'
    v0

-- Login gt
SELECT 1 FROM `HR`.`Employees` WHERE lower(CAST(`HR`.`Employees`.`Login` AS CHAR)) > lower(%(v0)s)
    v0

-- Name eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Name` = %(v0)s AND CAST(lower(CAST(`HR`.`Employees`.`Name` AS CHAR)) AS BINARY) = CAST(lower(%(v0)s) AS BINARY)
    v0

-- Name ne
SELECT 1 FROM `HR`.`Employees` WHERE CASE WHEN (`HR`.`Employees`.`Name` = %(v0)s AND CAST(lower(CAST(`HR`.`Employees`.`Name` AS CHAR)) AS BINARY) = CAST(lower(%(v0)s) AS BINARY)) THEN 0 ELSE 1 END = 1
    v0

-- Name sw
SELECT 1 FROM `HR`.`Employees` WHERE lower(CAST(`HR`.`Employees`.`Name` AS CHAR)) LIKE lower(%(v0)s) ESCAPE '!'
    v0

-- Name gt
SELECT 1 FROM `HR`.`Employees` WHERE lower(CAST(`HR`.`Employees`.`Name` AS CHAR)) > lower(%(v0)s)
    v0

-- Code eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Code` = %(v0)s AND CAST(CAST(`HR`.`Employees`.`Code` AS CHAR) AS BINARY) = CAST(%(v0)s AS BINARY)
    v0

-- Code ne
SELECT 1 FROM `HR`.`Employees` WHERE CASE WHEN (`HR`.`Employees`.`Code` = %(v0)s AND CAST(CAST(`HR`.`Employees`.`Code` AS CHAR) AS BINARY) = CAST(%(v0)s AS BINARY)) THEN 0 ELSE 1 END = 1
    v0

-- Code sw
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Code` LIKE %(v0)s ESCAPE '!'
    v0

-- Code gt
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Code` > %(v0)s
    v0

-- Number eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Number` = %(v0)s
    v0

-- Number ge
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Number` >= %(v0)s
    v0

-- Salary eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Salary` = %(v0)s
    v0

-- Salary ge
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Salary` >= %(v0)s
    v0

-- Hired eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Hired` = %(v0)s
    v0

-- Hired ge
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Hired` >= %(v0)s
    v0

-- Notes eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Notes` = %(v0)s AND CAST(lower(CAST(`HR`.`Employees`.`Notes` AS CHAR)) AS BINARY) = CAST(lower(%(v0)s) AS BINARY)
    v0

-- Notes co
SELECT 1 FROM `HR`.`Employees` WHERE lower(CAST(`HR`.`Employees`.`Notes` AS CHAR)) LIKE lower(%(v0)s) ESCAPE '!'
    v0

-- Small eq
SELECT 1 FROM `HR`.`Employees` WHERE `HR`.`Employees`.`Small` = CAST(%(v0)s AS FLOAT)
    v0

-- not
SELECT 1 FROM `HR`.`Employees` WHERE CASE WHEN (`HR`.`Employees`.`Number` = %(v0)s) THEN 0 ELSE 1 END = 1
    v0

-- insert and learn the anchor
SELECT last_insert_id() AS last_insert_id_1
    

-- query: read one
SELECT source.`Id`, source.`Login`, source.`Name`, source.`Code`, source.`Number`, source.`Salary`, source.`Hired`, source.`Notes`, source.`Small` FROM (SELECT e.*, 'a:b%%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.`Login` = %(k0)s
    k0

-- query: page with an offset
SELECT source.`Id`, source.`Login`, source.`Name`, source.`Code`, source.`Number`, source.`Salary`, source.`Hired`, source.`Notes`, source.`Small` FROM (SELECT e.*, 'a:b%%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source ORDER BY CASE WHEN (source.`Name` IS NULL) THEN 1 ELSE 0 END ASC, lower(CAST(source.`Name` AS CHAR)) ASC, source.`Login` ASC LIMIT %(offset_)s, %(limit_)s
    limit_, offset_

-- query: filter
SELECT source.`Id`, source.`Login`, source.`Name`, source.`Code`, source.`Number`, source.`Salary`, source.`Hired`, source.`Notes`, source.`Small` FROM (SELECT e.*, 'a:b%%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.`Name` = %(v0)s AND CAST(lower(CAST(source.`Name` AS CHAR)) AS BINARY) = CAST(lower(%(v0)s) AS BINARY) ORDER BY source.`Login` ASC LIMIT %(limit_)s
    limit_, v0

-- query: count
SELECT count(*) AS count_1 FROM (SELECT e.*, 'a:b%%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.`Name` IS NOT NULL AND source.`Name` != ''
    

-- query: is the anchor taken
SELECT 1 FROM (SELECT e.*, 'a:b%%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.`Login` = %(key_)s
    key_

-- query: types
SELECT collation(source.`Word`) AS collation_1 FROM (SELECT 1 AS one_) AS once LEFT OUTER JOIN (SELECT e.*, 'a:b%%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source ON 1 = 0
    

-- query: grants
GRANT SELECT ON `HR`.`Employees` TO 'scim'@'%';
GRANT SELECT ON `Other`.`Teams` TO 'scim'@'%';

-- lock for an anchor that nothing enforces
SELECT GET_LOCK(concat('connector-host:', md5(lower(concat(coalesce(%(schema)s, database()), '.', %(table)s)))), @@innodb_lock_wait_timeout)
    schema, table

-- change log made
CREATE TABLE `HR`.`Employees_changes` (number bigint AUTO_INCREMENT PRIMARY KEY, anchor varchar(450) NOT NULL, at timestamp(6) NOT NULL DEFAULT current_timestamp(6), KEY (at)) ENGINE=InnoDB;
CREATE TRIGGER `HR`.`Employees_changes_insert` AFTER INSERT ON `HR`.`Employees` FOR EACH ROW INSERT INTO `HR`.`Employees_changes` (anchor) VALUES (NEW.`Login`);
CREATE TRIGGER `HR`.`Employees_changes_update` AFTER UPDATE ON `HR`.`Employees` FOR EACH ROW INSERT INTO `HR`.`Employees_changes` (anchor) VALUES (OLD.`Login`), (NEW.`Login`);
CREATE TRIGGER `HR`.`Employees_changes_delete` AFTER DELETE ON `HR`.`Employees` FOR EACH ROW INSERT INTO `HR`.`Employees_changes` (anchor) VALUES (OLD.`Login`);

-- change log away
DROP TRIGGER `HR`.`Employees_changes_insert`;
DROP TRIGGER `HR`.`Employees_changes_update`;
DROP TRIGGER `HR`.`Employees_changes_delete`;
DROP TABLE `HR`.`Employees_changes`;

-- grants
GRANT SELECT (`Login`, `Name`), INSERT (`Login`, `Name`), UPDATE (`Name`), DELETE ON `HR`.`Employees` TO 'scim'@'%';
