import type { TenantId } from '../../src/base/brand.ts';
import type { Codec } from '../../src/cache/index.ts';

export interface Thing {
  readonly text: string;
}

export const thingCodec: Codec<Thing> = {
  encode: ({ text }) => Buffer.from(text),
  decode: (bytes) => ({ text: Buffer.from(bytes).toString() }),
  weigh: ({ text }) => text.length,
};

export const tenantNamed = (name: string): TenantId => name as TenantId;

/** Both kinds of logger calls, kept. */
export function keepingLogger() {
  const said: string[] = [];
  const keep = (details: object, message: string) => void said.push(`${message} ${JSON.stringify(details)}`);
  return { said, warn: keep, info: keep };
}
