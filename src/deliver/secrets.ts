/**
 * The secrets by which a tenant's webhooks are signed. After a rotation both sign for a while, so that receivers can change
 * theirs without missing anything.
 */
import { createHash } from 'node:crypto';
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { Mutex } from '../base/mutex.ts';
import type { StateRecords } from '../catalog/index.ts';
import { AREA, change } from './records.ts';

/** Newest first; `untilMs`: when an earlier one ends. Each is `whsec_` and base64. */
export interface SigningSecret {
  readonly secret: string;
  readonly createdAtMs: number;
  readonly untilMs: number | null;
}

export interface Secrets {
  /** Those that sign now, the newest first. The first call of a tenant makes one; durable when it resolves. */
  current(tenant: TenantId): Promise<readonly SigningSecret[]>;
  /** A new one signs from now on; those before end within `overlapMs`. Returns those that sign now. */
  rotate(tenant: TenantId, overlapMs: number): Promise<readonly SigningSecret[]>;
  forget(tenant: TenantId): void;
}

/** A receiver that is told more signatures than this has rotated too often. */
const SECRETS_MAX = 5;
const KEY = ['secret'] as const;

export function createSecrets({
  state,
  clock,
  randomBytes,
}: {
  readonly state: Pick<StateRecords, 'get' | 'write'>;
  readonly clock: Clock;
  readonly randomBytes: (size: number) => Uint8Array;
}): Secrets {
  const known = new Map<TenantId, readonly SigningSecret[]>();
  const turn = new Mutex();
  const standing = (all: readonly SigningSecret[]): readonly SigningSecret[] =>
    all.filter(({ untilMs }) => untilMs === null || untilMs > clock.now());
  const made = (): SigningSecret => ({
    secret: `whsec_${Buffer.from(randomBytes(32)).toString('base64')}`,
    createdAtMs: clock.now(),
    untilMs: null,
  });
  const save = async (tenant: TenantId, all: readonly SigningSecret[]): Promise<readonly SigningSecret[]> => {
    await state.write(tenant, [change(KEY, all)]);
    known.set(tenant, all);
    return all;
  };
  const read = async (tenant: TenantId): Promise<readonly SigningSecret[]> => {
    const all = known.get(tenant) ?? (await state.get<readonly SigningSecret[]>(tenant, AREA, KEY));
    if (all === undefined) return save(tenant, [made()]);
    known.set(tenant, all);
    return standing(all);
  };

  return {
    current: async (tenant) => {
      const all = known.get(tenant);
      return all === undefined ? turn.run(() => read(tenant)) : standing(all);
    },
    rotate: (tenant, overlapMs) =>
      turn.run(async () => {
        const untilMs = clock.now() + overlapMs;
        const before = (await read(tenant)).map((one) => ({
          ...one,
          untilMs: Math.min(one.untilMs ?? untilMs, untilMs),
        }));
        return standing(await save(tenant, [made(), ...before].slice(0, SECRETS_MAX)));
      }),
    forget: (tenant) => {
      known.delete(tenant);
    },
  };
}

/** Tells a secret apart from others without telling it. */
export const fingerprintOf = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 12);
