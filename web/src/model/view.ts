/** What the reader has chosen to look at. It lives in the address, so that a view can be shared. */
import { RANGES, type RangeName } from './range.ts';

export const FUNCTIONS = ['count', 'sum', 'avg', 'p95'] as const;
export type FunctionName = (typeof FUNCTIONS)[number];

/** Every page but the first, which shows the streams. */
export const PAGES = ['windows', 'triggers', 'reports', 'tables', 'deliveries', 'access'] as const;
export type PageName = (typeof PAGES)[number];

/** An absent part means: the stream's default. */
export interface View {
  /** Absent: the streams. */
  readonly page?: PageName;
  /** For whom the key of the installation speaks. */
  readonly tenant?: string;
  readonly stream?: string;
  readonly range?: RangeName;
  readonly fn?: FunctionName;
  readonly field?: string;
  readonly by?: string;
  /** The window, trigger, report or table that is looked at. */
  readonly name?: string;
  /** Which of its keys, runs or rows. */
  readonly group?: string;
}

export function readView(fragment: string): View {
  const parts = new URLSearchParams(fragment.replace(/^#/, ''));
  const range = RANGES.find((name) => name === parts.get('range'));
  const fn = FUNCTIONS.find((name) => name === parts.get('fn'));
  const [stream, field, by] = [parts.get('stream'), parts.get('field'), parts.get('by')];
  const [tenant, name, group] = [parts.get('tenant'), parts.get('name'), parts.get('group')];
  const page = PAGES.find((one) => one === parts.get('page'));
  return {
    ...(page ? { page } : {}),
    // Anything else cannot travel in a header.
    ...(tenant && /^[\x21-\x7e]+$/.test(tenant) ? { tenant } : {}),
    ...(stream ? { stream } : {}),
    ...(range ? { range } : {}),
    ...(fn ? { fn } : {}),
    ...(field ? { field } : {}),
    ...(by ? { by } : {}),
    ...(name ? { name } : {}),
    ...(group ? { group } : {}),
  };
}

export function writeView(view: View): string {
  const parts = new URLSearchParams(Object.entries(view).filter(([, value]) => value !== undefined));
  return parts.size > 0 ? `#${parts}` : '';
}

/** `key` in a fragment such as `#key=abc&stream=flights`, and the fragment without it. */
export function takeKey(fragment: string): { readonly key: string | undefined; readonly rest: string } {
  const parts = fragment.replace(/^#/, '').split('&');
  const found = parts.find((part) => part.startsWith('key='));
  const rest = parts.filter((part) => part !== found && part !== '').join('&');
  return { key: found && decode(found.slice(4)).trim(), rest: rest === '' ? '' : `#${rest}` };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
