/** Failures as ClickHouse numbers and names them, for what this door itself refuses. */
export const CODES = {
  BAD_ARGUMENTS: 36,
  NOT_IMPLEMENTED: 48,
  UNKNOWN_TABLE: 60,
  SYNTAX_ERROR: 62,
  UNKNOWN_FORMAT: 73,
  UNKNOWN_DATABASE: 81,
  UNKNOWN_COMPRESSION_METHOD: 89,
  UNKNOWN_SETTING: 115,
  TIMEOUT_EXCEEDED: 159,
  READONLY: 164,
  REQUIRED_PASSWORD: 194,
  TOO_MANY_SIMULTANEOUS_QUERIES: 202,
  ABORTED: 236,
  MEMORY_LIMIT_EXCEEDED: 241,
  TOO_MANY_ROWS_OR_BYTES: 396,
  ACCESS_DENIED: 497,
  AUTHENTICATION_FAILED: 516,
  UNKNOWN_EXCEPTION: 1002,
} as const;

export type CodeName = keyof typeof CODES;

export class Refusal extends Error {
  readonly code: number;
  readonly codeName: CodeName;

  constructor(codeName: CodeName, message: string) {
    super(message);
    this.name = 'Refusal';
    this.code = CODES[codeName];
    this.codeName = codeName;
  }
}

export const unknownTable = (database: string | undefined, table: string): Refusal =>
  new Refusal(
    'UNKNOWN_TABLE',
    `Unknown table expression identifier '${database === undefined ? '' : `${database}.`}${table}'`,
  );

export const unknownDatabase = (database: string): Refusal =>
  new Refusal('UNKNOWN_DATABASE', `Database ${database} does not exist`);
