-- read one
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] WHERE [HR].[Employees].[Login] = CAST(? AS VARCHAR(8000))
    k0

-- read two
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] WHERE [HR].[Employees].[Login] IN (CAST(? AS VARCHAR(8000)), CAST(? AS VARCHAR(8000)))
    k0, k1

-- read by number
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] WHERE [HR].[Employees].[Id] = ?
    k0

-- read and lock
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] WITH (UPDLOCK, ROWLOCK) WHERE [HR].[Employees].[Login] = CAST(? AS VARCHAR(8000))
    k0

-- insert one
INSERT INTO [HR].[Employees] ([Login], [Name]) VALUES (?, ?)
    c0_0, c1_0

-- update
UPDATE [HR].[Employees] SET [Name]=?, [Hired]=? WHERE [HR].[Employees].[Login] = CAST(? AS VARCHAR(8000))
    c0, c1, key_

-- delete
DELETE FROM [HR].[Employees] WHERE [HR].[Employees].[Login] = CAST(? AS VARCHAR(8000))
    key_

-- page
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] ORDER BY [HR].[Employees].[Login] ASC OFFSET 0 ROWS FETCH FIRST ? ROWS ONLY
    limit_

-- page with an offset
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] ORDER BY [HR].[Employees].[Login] ASC OFFSET ? ROWS FETCH FIRST ? ROWS ONLY
    offset_, limit_

-- page after an anchor
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] WHERE [HR].[Employees].[Login] > CAST(? AS VARCHAR(8000)) ORDER BY [HR].[Employees].[Login] ASC OFFSET 0 ROWS FETCH FIRST ? ROWS ONLY
    after_, limit_

-- page sorted by text
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] ORDER BY CASE WHEN ([HR].[Employees].[Name] IS NULL) THEN 1 ELSE 0 END DESC, lower(CAST([HR].[Employees].[Name] AS NVARCHAR(max))) DESC, [HR].[Employees].[Login] ASC OFFSET 0 ROWS FETCH FIRST ? ROWS ONLY
    limit_

-- count
SELECT count(*) AS count_1 FROM [HR].[Employees] WHERE [HR].[Employees].[Name] IS NOT NULL AND [HR].[Employees].[Name] != ''
    

-- is the anchor taken
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Login] = CAST(? AS VARCHAR(8000))
    key_

-- double
SELECT [HR].[Employees].[Login] AS key_, [HR].[Employees].[Login] AS text_ FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Login] AS NVARCHAR(max))) IN (lower(?), lower(?))
    d0, d1

-- log
SELECT TOP __[POSTCOMPILE_param_1] [HR].[Employees_changes].[number], [HR].[Employees_changes].[anchor] FROM [HR].[Employees_changes] WHERE ([HR].[Employees_changes].[number] > ? OR [HR].[Employees_changes].[at] >= ?) AND [HR].[Employees_changes].[number] > ? ORDER BY [HR].[Employees_changes].[number]
    param_1, number_1, since, number_2

-- end of the log
SELECT max([HR].[Employees_changes].[at]) AS latest_at, max([HR].[Employees_changes].[number]) AS last_number FROM [HR].[Employees_changes]
    

-- both ends of the log
SELECT min([HR].[Employees_changes].[number]) AS first_number, max([HR].[Employees_changes].[number]) AS last_number FROM [HR].[Employees_changes]
    

-- time of a row of the log
SELECT [HR].[Employees_changes].[at] FROM [HR].[Employees_changes] WHERE [HR].[Employees_changes].[number] = ?
    number_1

-- horizon
SELECT CAST(MIN_ACTIVE_ROWVERSION() AS bigint) AS horizon
    

-- stamped since
SELECT [HR].[Employees].[Id], [HR].[Employees].[Login], [HR].[Employees].[Name], [HR].[Employees].[Code], [HR].[Employees].[Number], [HR].[Employees].[Salary], [HR].[Employees].[Hired], [HR].[Employees].[Notes], [HR].[Employees].[Small], [HR].[Employees].[Guid] FROM [HR].[Employees] WHERE [Version] >= CAST(CAST(? AS bigint) AS binary(8)) OR [Version] IS NULL
    since

-- stamped log
SELECT TOP __[POSTCOMPILE_param_1] [HR].[Employees_changes].[number], [HR].[Employees_changes].[anchor] FROM [HR].[Employees_changes] WHERE ([HR].[Employees_changes].[number] > ? OR [HR].[Employees_changes].[stamp] >= CAST(CAST(? AS bigint) AS binary(8)) OR [HR].[Employees_changes].[stamp] IS NULL) AND [HR].[Employees_changes].[number] > ? ORDER BY [HR].[Employees_changes].[number]
    param_1, number_1, since, number_2

-- insert two
INSERT INTO [HR].[Employees] ([Login], [Name]) VALUES (?, ?), (?, ?)
    c0_0, c1_0, c0_1, c1_1

-- filled Id
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Id] IS NOT NULL
    

-- filled Login
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Login] IS NOT NULL AND [HR].[Employees].[Login] != ''
    

-- filled Name
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Name] IS NOT NULL AND [HR].[Employees].[Name] != ''
    

-- filled Code
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Code] IS NOT NULL AND [HR].[Employees].[Code] != ''
    

-- filled Number
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Number] IS NOT NULL
    

-- filled Salary
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Salary] IS NOT NULL
    

-- filled Hired
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Hired] IS NOT NULL
    

-- filled Notes
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Notes] IS NOT NULL AND [HR].[Employees].[Notes] NOT LIKE ''
    

-- filled Small
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Small] IS NOT NULL
    

-- filled Guid
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Guid] IS NOT NULL
    

-- Login eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Login] = CAST(? AS VARCHAR(8000)) AND CAST(lower(CAST([HR].[Employees].[Login] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max))
    v0, v0

-- Login ne
SELECT 1 FROM [HR].[Employees] WHERE CASE WHEN ([HR].[Employees].[Login] = CAST(? AS VARCHAR(8000)) AND CAST(lower(CAST([HR].[Employees].[Login] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max))) THEN 0 ELSE 1 END = 1
    v0, v0

-- Login sw
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Login] AS NVARCHAR(max))) LIKE lower(?) ESCAPE '!'
    v0

-- Login gt
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Login] AS NVARCHAR(max))) > lower(?)
    v0

-- Name eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Name] = ? AND CAST(lower(CAST([HR].[Employees].[Name] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max))
    v0, v0

-- Name ne
SELECT 1 FROM [HR].[Employees] WHERE CASE WHEN ([HR].[Employees].[Name] = ? AND CAST(lower(CAST([HR].[Employees].[Name] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max))) THEN 0 ELSE 1 END = 1
    v0, v0

-- Name sw
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Name] AS NVARCHAR(max))) LIKE lower(?) ESCAPE '!'
    v0

-- Name gt
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Name] AS NVARCHAR(max))) > lower(?)
    v0

-- Code eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Code] = CAST(? AS VARCHAR(8000)) AND CAST(lower(CAST([HR].[Employees].[Code] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max))
    v0, v0

-- Code ne
SELECT 1 FROM [HR].[Employees] WHERE CASE WHEN ([HR].[Employees].[Code] = CAST(? AS VARCHAR(8000)) AND CAST(lower(CAST([HR].[Employees].[Code] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max))) THEN 0 ELSE 1 END = 1
    v0, v0

-- Code sw
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Code] AS NVARCHAR(max))) LIKE lower(?) ESCAPE '!'
    v0

-- Code gt
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Code] AS NVARCHAR(max))) > lower(?)
    v0

-- Number eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Number] = ?
    v0

-- Number ge
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Number] >= ?
    v0

-- Salary eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Salary] = ?
    v0

-- Salary ge
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Salary] >= ?
    v0

-- Hired eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Hired] = ?
    v0

-- Hired ge
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Hired] >= ?
    v0

-- Notes eq
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Notes] AS NVARCHAR(max))) LIKE lower(?) ESCAPE '!'
    v0

-- Notes co
SELECT 1 FROM [HR].[Employees] WHERE lower(CAST([HR].[Employees].[Notes] AS NVARCHAR(max))) LIKE lower(?) ESCAPE '!'
    v0

-- Small eq
SELECT 1 FROM [HR].[Employees] WHERE [HR].[Employees].[Small] = CAST(? AS REAL)
    v0

-- not
SELECT 1 FROM [HR].[Employees] WHERE CASE WHEN ([HR].[Employees].[Number] = ?) THEN 0 ELSE 1 END = 1
    v0

-- insert and learn the anchor
SET NOCOUNT ON; DECLARE @made TABLE (anchor nvarchar(450)); INSERT INTO [HR].[Employees] ([Login]) OUTPUT inserted.[Id] INTO @made VALUES (?); SELECT anchor FROM @made

-- query: read one
SELECT source.[Id], source.[Login], source.[Name], source.[Code], source.[Number], source.[Salary], source.[Hired], source.[Notes], source.[Small], source.[Guid] FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.[Login] = CAST(? AS VARCHAR(8000))
    k0

-- query: page with an offset
SELECT source.[Id], source.[Login], source.[Name], source.[Code], source.[Number], source.[Salary], source.[Hired], source.[Notes], source.[Small], source.[Guid] FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source ORDER BY CASE WHEN (source.[Name] IS NULL) THEN 1 ELSE 0 END ASC, lower(CAST(source.[Name] AS NVARCHAR(max))) ASC, source.[Login] ASC OFFSET ? ROWS FETCH FIRST ? ROWS ONLY
    offset_, limit_

-- query: filter
SELECT source.[Id], source.[Login], source.[Name], source.[Code], source.[Number], source.[Salary], source.[Hired], source.[Notes], source.[Small], source.[Guid] FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.[Name] = ? AND CAST(lower(CAST(source.[Name] AS NVARCHAR(max))) AS VARBINARY(max)) = CAST(lower(?) AS VARBINARY(max)) ORDER BY source.[Login] ASC OFFSET 0 ROWS FETCH FIRST ? ROWS ONLY
    v0, v0, limit_

-- query: count
SELECT count(*) AS count_1 FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.[Name] IS NOT NULL AND source.[Name] != ''
    

-- query: is the anchor taken
SELECT 1 FROM (SELECT e.*, 'a:b%?' AS Word FROM Employees AS e JOIN Other.Teams AS t ON t.Lead = e.Id) AS source WHERE source.[Login] = CAST(? AS VARCHAR(8000))
    key_

-- query: grants
GRANT SELECT ON [HR].[Employees] TO [scim];
GRANT SELECT ON [Other].[Teams] TO [scim];

-- lock for an anchor that nothing enforces
SET NOCOUNT ON; DECLARE @got int, @name nvarchar(255) = CONCAT('connector-host:', CONVERT(varchar(64), HASHBYTES('SHA2_256', lower(CONCAT(coalesce(?, schema_name()), '.', ?))), 2)); EXEC @got = sp_getapplock @Resource = @name, @LockMode = 'Exclusive', @LockOwner = 'Transaction'; SELECT CASE WHEN @got >= 0 THEN 1 ELSE 0 END
    schema, table

-- change log made
CREATE TABLE [HR].[Employees_changes] ([number] bigint IDENTITY PRIMARY KEY, [anchor] nvarchar(450) NOT NULL, [at] datetime2(6) NOT NULL DEFAULT sysutcdatetime(), [stamp] rowversion);
CREATE INDEX [Employees_changes_at] ON [HR].[Employees_changes] ([at]);
CREATE INDEX [Employees_changes_stamp] ON [HR].[Employees_changes] ([stamp]);
GO
CREATE TRIGGER [HR].[Employees_changes_log] ON [HR].[Employees] AFTER INSERT, UPDATE, DELETE AS BEGIN SET NOCOUNT ON; INSERT INTO [HR].[Employees_changes] ([anchor]) SELECT [Login] FROM inserted UNION ALL SELECT [Login] FROM deleted; END;
GO

-- change log away
DROP TRIGGER [HR].[Employees_changes_log];
DROP TABLE [HR].[Employees_changes];

-- versions of tracked changes
SELECT change_tracking_min_valid_version(?) AS oldest, change_tracking_current_version() AS newest
    change_tracking_min_valid_version_1

-- tracked changes
SELECT TOP __[POSTCOMPILE_param_1] [Id] FROM CHANGETABLE(CHANGES [HR].[Employees], ?) AS changed ORDER BY [Id]
    param_1, since

-- more tracked changes
SELECT TOP __[POSTCOMPILE_param_1] [Id] FROM CHANGETABLE(CHANGES [HR].[Employees], ?) AS changed WHERE [Id] > ? ORDER BY [Id]
    param_1, since, after_

-- more tracked changes by text
SELECT TOP __[POSTCOMPILE_param_1] [Login] FROM CHANGETABLE(CHANGES [HR].[Employees], ?) AS changed WHERE [Login] > CAST(? AS VARCHAR(8000)) ORDER BY [Login]
    param_1, since, after_

-- change tracking on
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID()) ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 7 DAYS, AUTO_CLEANUP = ON);
ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON;
ALTER TABLE [HR].[Employees] ENABLE CHANGE_TRACKING;

-- change tracking off
ALTER TABLE [HR].[Employees] DISABLE CHANGE_TRACKING;

-- grants where changes are tracked
GRANT SELECT, INSERT, UPDATE, DELETE, VIEW CHANGE TRACKING ON [HR].[Employees] TO [scim];

-- grants
GRANT SELECT ([Login], [Name]), INSERT, UPDATE ([Name]), DELETE ON [HR].[Employees] TO [scim];
