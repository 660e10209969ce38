/**
 * Values of `{name:Type}` placeholders, set on the session that runs the statement.
 *
 * The binding's own way to bind them puts all statements of the process that have parameters into one queue, so that a
 * quick question waits for every slow one; a session has its values for itself.
 */
import type { Session } from 'chdb';
import { MillraceError } from '../base/errors.ts';
import type { Statement, StatementParam } from './port.ts';
import { quoteText } from './sql.ts';

/** What to set before a statement runs, `name='value'` each. */
export function parameterSettings({ params = {} }: Statement): string[] {
  return Object.entries(params).map(([name, value]) => `${settingOf(name)}=${quoteSetting(fieldOf(value))}`);
}

/** Settings that keep a long value from staying in the session's memory until somebody else sets it. */
export function forgetLongParameters({ params = {} }: Statement): string[] {
  return Object.entries(params)
    .filter(([, value]) => isLong(value))
    .map(([name]) => `${settingOf(name)}=''`);
}

export function setAll(session: Session, settings: readonly string[]): void {
  if (settings.length > 0) session.query(`SET ${settings.join(', ')}`);
}

/** The same without holding up everything else: on a busy machine the engine may take a hundred milliseconds even for this. */
export async function setAllSoon(session: Session, settings: readonly string[]): Promise<void> {
  if (settings.length > 0) await session.queryAsync(`SET ${settings.join(', ')}`);
}

/** A text as the value of a setting: statements end at a NUL byte, so it is written. */
export const quoteSetting = (text: string): string => quoteText(text).replaceAll('\0', '\\0');

/** The setting that holds the parameter of that name. */
export function settingOf(name: string): string {
  if (/^[A-Za-z_]\w{0,100}$/.test(name)) return `param_${name}`;
  throw new MillraceError(
    'bad-question',
    `The parameter ${JSON.stringify(name.slice(0, 100))} has no proper name.`,
  );
}

const KEPT_CHARACTERS_MAX = 4_096;
const KEPT_VALUES_MAX = 64;

const isLong = (value: StatementParam): boolean =>
  typeof value === 'string'
    ? value.length > KEPT_CHARACTERS_MAX
    : typeof value === 'object' && value.length > KEPT_VALUES_MAX;

/** As a field of the engine's escaped form: that is how it reads a parameter of any type. */
function fieldOf(value: StatementParam): string {
  if (typeof value === 'string') return escapeField(value);
  if (typeof value !== 'object') return String(value);
  return `[${value.map((one) => (typeof one === 'string' ? quoteElement(one) : String(one))).join(',')}]`;
}

const quoteElement = (text: string): string => `'${escapeField(text).replaceAll("'", "\\'")}'`;

const ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\0': '\\0',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
};

const escapeField = (text: string): string => text.replace(/[\\\0\b\f\n\r\t]/g, (one) => ESCAPES[one]!);
