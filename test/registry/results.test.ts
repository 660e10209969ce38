import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../../src/base/clock.ts';
import { countingIds } from '../../src/base/ids.ts';
import { createCollect } from '../../src/collect/index.ts';
import { createMemoryLog } from '../../src/log/index.ts';
import { createRegistry, type RunningRegistry } from '../../src/registry/index.ts';
import { recordingParts, TENANT } from './parts.ts';

const RESULTS = { fields: { n: 'uint64' }, resultOf: 'window' };

let registry: RunningRegistry;
let parts: Awaited<ReturnType<typeof recordingParts>>['parts'];
beforeEach(async () => {
  parts = (await recordingParts()).parts;
  registry = createRegistry(parts);
});

describe('streams of results', () => {
  it('are made, changed and removed by the stage whose results they hold, and by nobody else', async () => {
    await expect(registry.put(TENANT, 'stream', 'alarms', RESULTS)).rejects.toMatchObject({
      code: 'conflict',
    });
    const { result } = await registry.put(TENANT, 'stream', 'alarms', RESULTS, { asResult: true });
    expect(result.document).toMatchObject({ resultOf: 'window' });
    for (const document of [RESULTS, { fields: { n: 'uint64' } }])
      await expect(registry.put(TENANT, 'stream', 'alarms', document)).rejects.toThrow(
        /results of the window/,
      );
    await expect(registry.remove(TENANT, 'stream', 'alarms')).rejects.toMatchObject({ code: 'conflict' });
    await registry.remove(TENANT, 'stream', 'alarms', { asResult: true });
    expect(parts.catalog.stream(TENANT, 'alarms')).toBeUndefined();
  });

  it('do not take the place of a stream that somebody made', async () => {
    await registry.put(TENANT, 'stream', 'alarms', { fields: { n: 'uint64' } });
    const taken = registry.put(TENANT, 'stream', 'alarms', RESULTS, { asResult: true });
    await expect(taken).rejects.toThrow(/take another name/);
  });

  it('take no events from outside', async () => {
    await registry.put(TENANT, 'stream', 'alarms', RESULTS, { asResult: true });
    const clock = new ManualClock();
    const collect = createCollect({
      ...{ catalog: parts.catalog, clock, log: createMemoryLog({ clock, ids: countingIds() }) },
      ingest: {
        state: () => expect.fail('nothing is asked'),
        applied: () => expect.fail('nothing is asked'),
      },
      limits: {
        ...{ bodyBytesMax: 1e6, eventBytesMax: 1e5, inFlightBytesMax: 1e7, backlogBytesMax: 1e7 },
        ...{ bodyTimeoutMs: 1_000, storedTimeoutMs: 1_000 },
      },
    });
    const sent = collect.take({
      ...{ tenant: TENANT, stream: 'alarms', ack: 'durable', contentType: 'application/json' },
      ...{ contentEncoding: undefined, contentLength: undefined, body: Readable.from(['{"n":1}']) },
    });
    await expect(sent).rejects.toThrow(/nobody else sends to it/);
  });
});
