/** Each operator of stations is a tenant: streams, windows, reports and keys of its own. */
import { DEFINITION_KINDS, type ProjectDocuments, pluralOf } from 'millrace';
import { createClient, type MillraceClient } from 'millrace/client';
import type { Datapoint } from './generator.ts';

export interface Operator {
  readonly name: string;
  /** For administration: acts for the tenant with the key of the installation. */
  readonly client: MillraceClient;
  /** What stations are given: it can send measurements, and nothing else. */
  readonly stationKey: string;
}

/** Makes the tenant, its definitions, and the key of its stations. */
export async function openOperator(
  { url, key }: { readonly url: string; readonly key: string },
  name: string,
  documents: ProjectDocuments,
): Promise<Operator> {
  await createClient({ url, key }).tenants.put(name, { displayName: `Operator ${name}` });
  const client = createClient({ url, key, tenant: name });
  for (const kind of DEFINITION_KINDS)
    for (const [definition, document] of Object.entries(documents[pluralOf(kind)]))
      await client.put(kind, definition, document as object);
  const { secret } = await client.keys.put('stations', { scopes: ['events:write:datapoints'] });
  return { name, client, stationKey: secret! };
}

export const sendMeasurements = (url: string, operator: Operator, measured: Iterable<Datapoint>) =>
  createClient({ url, key: operator.stationKey }).processEvents('datapoints', measured, {
    ...{ idField: 'alarm_id', ack: 'stored', concurrency: 1 },
  });
