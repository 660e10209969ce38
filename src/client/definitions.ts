/** Definitions, changed as compare-and-set. */
import { parseJson } from './json.ts';
import { pathOf } from './query.ts';
import type { Transport } from './transport.ts';
import type { Change, Definition } from './types.ts';

export interface PutOptions {
  /** Only if this version stands; 0: only if there is none. Else fails with status 412. */
  readonly ifVersion?: number | undefined;
}

interface PutAnswer {
  readonly document?: object;
  readonly run?: string | null;
}

export async function putDefinition(
  transport: Transport,
  kind: `${Change['kind']}s`,
  name: string,
  document: object,
  { ifVersion }: PutOptions,
): Promise<Definition> {
  const answer = await transport.send({
    method: 'PUT',
    path: pathOf(kind, name),
    body: JSON.stringify(document),
    headers: { 'content-type': 'application/json', ...conditionOf(ifVersion) },
    // With a condition the second try would fail because the first one succeeded.
    repeatable: ifVersion === undefined ? 'safe' : 'refused',
    // The server waits some seconds for what must be built, and for what is under way to be taken back.
    timeoutMs: 120_000,
  });
  const body = answer.text === '' ? {} : (parseJson(answer.text) as PutAnswer);
  return {
    name,
    document: (body.document ?? document) as Readonly<Record<string, unknown>>,
    version: versionOf(answer.headers),
    ...(typeof body.run === 'string' ? { run: body.run } : {}),
  };
}

/** Headers that let a change happen only if this version stands; 0: only if there is none. */
export function conditionOf(ifVersion: number | undefined): Readonly<Record<string, string>> {
  if (ifVersion === undefined) return {};
  return ifVersion === 0 ? { 'if-none-match': '*' } : { 'if-match': `"${ifVersion}"` };
}

export function versionOf(headers: Headers): number | undefined {
  const digits = /"(\d+)"/.exec(headers.get('etag') ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}
