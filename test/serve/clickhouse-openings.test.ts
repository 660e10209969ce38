/** What drivers and tools ask when they connect and when somebody browses, as their public sources send it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startWorld, type World } from './clickhouse-world.ts';

let world: World;
beforeAll(async () => {
  world = await startWorld();
});
afterAll(async () => {
  await world.close();
});

const OF_GRAFANA = [
  'SELECT displayName(), version(), revision(), timezone()',
  'SELECT version()',
  'SELECT 1',
  'SHOW DATABASES',
  'SHOW TABLES FROM "default"',
  'SHOW TABLES',
  'DESC TABLE "default"."visits"',
  'DESC TABLE "visits"',
  'SELECT name, type, table FROM system.columns',
  "SELECT name, type, table FROM system.columns WHERE database = 'default' AND table = 'visits'",
  "SELECT name, type, table FROM system.columns WHERE database IN ('default') AND table = 'visits'",
  'SELECT name FROM system.databases ORDER BY name',
  "SELECT name FROM system.tables WHERE database = 'default' ORDER BY name",
  "SELECT name FROM system.columns WHERE database = 'default' AND table = 'visits' ORDER BY name",
  'SELECT name, is_aggregate, case_insensitive, alias_to, origin, description, syntax, arguments, returned_value, examples, categories FROM system.functions LIMIT 10000',
  'SELECT DISTINCT page FROM default.visits LIMIT 1000',
  'SELECT toStartOfInterval(_time, INTERVAL 60 second) AS "time", count(*) FROM "default"."visits" WHERE ( _time >= toDateTime(0) AND _time <= toDateTime(4000000000) ) GROUP BY time ORDER BY time ASC LIMIT 1000',
];

const OF_JDBC = [
  'SELECT currentUser() AS user, timezone() AS timezone, version() AS version LIMIT 1',
  'SELECT version() as server_version',
  "select currentUser() user, timezone() timezone, version() version, toUInt8(ifnull((select value from system.settings where name = 'readonly'), '0')) as readonly",
  "SELECT 'local' AS TABLE_CAT  WHERE 1 = 0",
  "SELECT arrayJoin(['TABLE','VIEW','SYSTEM TABLE']) AS TABLE_TYPE ORDER BY TABLE_TYPE",
  "SELECT name AS TABLE_SCHEM, '' AS TABLE_CATALOG FROM system.databases ORDER BY name",
  "SELECT name AS TABLE_SCHEM, '' AS TABLE_CATALOG FROM system.databases WHERE name LIKE '%'",
  `SELECT '' AS TABLE_CAT, t.database AS TABLE_SCHEM, t.name AS TABLE_NAME,
     if(t.is_temporary = 1, concat('Temporary', t.engine), t.engine) AS TABLE_TYPE, t.comment AS REMARKS,
     CAST(null as Nullable(String)) AS TYPE_CAT, d.engine AS TYPE_SCHEM, CAST(null as Nullable(String)) AS TYPE_NAME
   FROM system.tables t JOIN system.databases d ON system.tables.database = system.databases.name
   WHERE t.database LIKE '%' AND t.name LIKE '%' AND ( t.engine LIKE '%MergeTree%' OR t.engine = 'View' ) AND (t.is_temporary = 0)`,
  `SELECT '' AS TABLE_CAT, database AS TABLE_SCHEM, table AS TABLE_NAME, name AS COLUMN_NAME, toInt32(1111) AS DATA_TYPE,
     type AS TYPE_NAME,
     toInt32(multiIf(system.columns.type = 'String', 0, system.columns.type = 'UInt8', 3, 10)) AS COLUMN_SIZE,
     toInt32(0) AS BUFFER_LENGTH, toInt32(IF (numeric_scale == 0, NULL, numeric_scale)) as DECIMAL_DIGITS,
     toInt32(numeric_precision_radix) AS NUM_PREC_RADIX, toInt32(position(type, 'Nullable(') >= 1 ?1 : 0) as NULLABLE,
     system.columns.comment AS REMARKS, system.columns.default_expression AS COLUMN_DEF,
     character_octet_length::Nullable(Int32) AS CHAR_OCTET_LENGTH, toInt32(system.columns.position) AS ORDINAL_POSITION,
     position(upper(type), 'NULLABLE') >= 1 ? 'YES' : 'NO' AS IS_NULLABLE, CAST(NULL as Nullable(Int16)) AS SOURCE_DATA_TYPE
   FROM system.columns WHERE database LIKE 'default' AND table LIKE 'visits' AND name LIKE '%'
   ORDER BY TABLE_SCHEM, TABLE_NAME, ORDINAL_POSITION`,
  `SELECT name AS TYPE_NAME, CAST(attrs.c2 AS Nullable(Int32)) AS PRECISION,
     CAST(not(dt.case_insensitive) AS Boolean) AS CASE_SENSITIVE, 3::Int16 AS SEARCHABLE,
     CAST( not(attrs.c3) AS Boolean) AS UNSIGNED_ATTRIBUTE, false AS FIXED_PREC_SCALE,
     if(empty(alias_to), name, alias_to) AS LOCAL_TYPE_NAME, CAST(attrs.c4 AS Nullable(Int16)) AS MINIMUM_SCALE
   FROM system.data_type_families dt
   LEFT JOIN (SELECT * FROM VALUES ( ('UInt8',3,false,0,0),('Int64',19,true,0,0),('Decimal',76,true,0,76)) ) as attrs ON (dt.name = attrs.c1)
   WHERE alias_to == '' ORDER BY name`,
  "SELECT c1 as NAME, c2 as MAX_LEN, c3 as DEFAULT_VALUE, c4 as DESCRIPTION FROM VALUES (('ApplicationName', 255, '', 'Client application name.'))",
  `SELECT CAST(NULL as Nullable(String)) AS FUNCTION_CAT, CAST(name as Nullable(String)) AS FUNCTION_NAME,
     concat(description, '(', origin, ')') AS REMARKS, CAST(0 AS Int16) AS FUNCTION_TYPE FROM system.functions WHERE name LIKE 'to%'`,
];

const OF_METABASE = [
  "SELECT value='1' FROM system.settings WHERE name='cloud_mode'",
  "SELECT count(*) > 0 FROM system.databases WHERE name = 'default'",
  'SELECT timezone() AS tz',
  "WITH s AS (SELECT version() AS ver, splitByChar('.', ver) AS verSplit) SELECT s.ver, toInt32(verSplit[1]), toInt32(verSplit[2]) FROM s",
  'SELECT true AS "_" FROM "default"."visits" WHERE 1 <> 1 LIMIT 0',
  'SELECT "default"."visits"."page" AS "page", COUNT(*) AS "count" FROM "default"."visits" GROUP BY "default"."visits"."page" ORDER BY "default"."visits"."page" ASC',
  'SELECT count(*) AS "count" FROM "default"."visits"',
];

const OF_DBEAVER = [
  'SELECT VERSION()',
  'SHOW DATABASES',
  'SELECT name FROM system.table_engines',
  "SELECT name as TABLE_NAME, engine as TABLE_TYPE, database as TABLE_SCHEM,comment as REMARKS, * FROM system.tables\nWHERE database = 'default'",
  "SELECT name as TABLE_NAME, engine as TABLE_TYPE, database as TABLE_SCHEM,comment as REMARKS, * FROM system.tables\nWHERE database = 'default' and name='visits'",
  'SHOW CREATE TABLE `default`.visits',
  "select sum(bytes) as table_size, sum(rows) as table_rows, max(modification_time) as latest_modification,min(min_date) AS min_date,max(max_date) AS max_date,any(engine) as engine\nFROM system.parts\nWHERE database='default' AND table='visits'\nGROUP BY table",
  'SELECT * FROM `default`.visits LIMIT 200',
  'SELECT currentDatabase()',
];

describe('opening questions are answered', () => {
  for (const [tool, queries] of Object.entries({ OF_GRAFANA, OF_JDBC, OF_METABASE, OF_DBEAVER })) {
    for (const query of queries) {
      it(`${tool.slice(3).toLowerCase()}: ${query.replaceAll(/\s+/g, ' ').slice(0, 100)}`, async () => {
        for (const format of ['JSON', 'RowBinaryWithNamesAndTypes']) {
          const reply = await world.ask(query, { search: { default_format: format } });
          expect(reply.status, reply.text).toBe(200);
          expect(reply.headers.get('x-clickhouse-format')).toBe(format);
        }
      });
    }
  }
});

describe('what they are told', () => {
  it('is the version of the engine, and names of ours', async () => {
    const [row] = await world.rows(OF_GRAFANA[0]!);
    expect(row).toEqual({
      'displayName()': 'millrace',
      'version()': expect.stringMatching(/^\d+\.\d+\.\d+/),
      'revision()': 54_460,
      'timezone()': expect.any(String),
    });
    expect(await world.rows('SELECT currentUser() AS u, currentDatabase() AS d, hostName() AS h')).toEqual([
      { u: 'default', d: 'default', h: 'millrace' },
    ]);
  });

  it('are the databases, streams and rollups of the tenant', async () => {
    expect((await world.rows('SHOW DATABASES')).map(({ name }) => name)).toEqual([
      'INFORMATION_SCHEMA',
      'default',
      'information_schema',
      'system',
    ]);
    expect(await world.rows('SHOW TABLES')).toEqual([{ name: 'by_page' }, { name: 'visits' }]);
    expect(await world.rows("SHOW TABLES FROM default LIKE 'v%'")).toEqual([{ name: 'visits' }]);
  });

  it('are the columns with the types that answers have', async () => {
    for (const table of ['visits', 'by_page']) {
      const described = await world.rows(`DESCRIBE TABLE default.${table}`);
      const reply = await world.ask(`SELECT * FROM ${table} LIMIT 0 FORMAT JSONCompact`);
      const { meta } = JSON.parse(reply.text) as { meta: unknown };
      expect(described.map(({ name, type }) => ({ name, type }))).toEqual(meta);
    }
    expect(await world.rows('SHOW COLUMNS FROM visits')).toContainEqual(
      expect.objectContaining({ field: 'page', type: 'String', null: 'NO' }),
    );
    const [created] = await world.rows('SHOW CREATE TABLE visits');
    expect(created!.statement).toMatch(/^CREATE TABLE `default`\.`visits` \(`page` String, /);
  });

  it('is what EXISTS, USE and DESCRIBE of a subquery say', async () => {
    expect(await world.rows('EXISTS visits')).toEqual([{ result: 1 }]);
    expect(await world.rows('EXISTS TABLE default.nothing')).toEqual([{ result: 0 }]);
    expect(await world.rows('EXISTS DATABASE default')).toEqual([{ result: 1 }]);
    expect(await world.rows('EXISTS DATABASE t_other')).toEqual([{ result: 0 }]);
    expect((await world.ask('USE default')).status).toBe(200);
    expect((await world.ask('USE other')).status).toBe(404);
    const described = await world.rows('DESCRIBE (SELECT page, count() AS n FROM visits GROUP BY page)');
    expect(described.map(({ name, type }) => [name, type])).toEqual([
      ['page', 'String'],
      ['n', 'UInt64'],
    ]);
  });

  it('is the same in the information schema, in small and capital letters', async () => {
    expect(
      await world.rows(
        "SELECT table_name, TABLE_TYPE FROM information_schema.tables WHERE TABLE_SCHEMA = 'default' ORDER BY 1",
      ),
    ).toEqual([
      { table_name: 'by_page', TABLE_TYPE: 'BASE TABLE' },
      { table_name: 'visits', TABLE_TYPE: 'BASE TABLE' },
    ]);
    expect(
      await world.rows(
        "SELECT COLUMN_NAME FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_NAME = 'visits' AND DATA_TYPE = 'Float64'",
      ),
    ).toEqual([{ COLUMN_NAME: 'seconds' }]);
  });

  it('is that streams and rollups are tables of their own', async () => {
    expect(
      await world.rows(
        "SELECT name, engine, empty(data_paths) AS is_elsewhere FROM system.tables WHERE database = 'default' ORDER BY name",
      ),
    ).toEqual([
      { name: 'by_page', engine: 'AggregatingMergeTree', is_elsewhere: 0 },
      { name: 'visits', engine: 'MergeTree', is_elsewhere: 0 },
    ]);
  });

  it('holds only functions that may be used', async () => {
    const names = (await world.rows('SELECT name FROM system.functions')).map(({ name }) => name);
    expect(names).toContain('toStartOfInterval');
    for (const name of ['file', 'dictGet', 'hostName', 'getSetting', 'sleep'])
      expect(names).not.toContain(name);
  });

  it('follows the database of the address, qualified names and aliases', async () => {
    expect(
      await world.rows('SELECT name FROM databases WHERE name = currentDatabase()', { database: 'system' }),
    ).toEqual([{ name: 'system' }]);
    expect(
      await world.rows(
        'SELECT visits.page, default.visits.seconds FROM default.visits ORDER BY default.visits.page LIMIT 1',
      ),
    ).toEqual([{ page: '/a', seconds: 1 }]);
    expect(
      await world.rows(
        'WITH visits AS (SELECT page FROM default.visits) SELECT a.page AS p, b.visits AS n FROM visits AS a JOIN default.by_page AS b ON a.page = b.page ORDER BY p',
      ),
    ).toEqual([
      { p: '/a', n: 1 },
      { p: '/b', n: 1 },
    ]);
  });
});
