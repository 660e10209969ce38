import { expect, it } from 'vitest';
import type { TenantId } from '../../src/base/brand.ts';
import { Outside } from '../../src/testing/outside.ts';

const [A, B] = ['a', 'b'] as TenantId[] as [TenantId, TenantId];
const { signal } = new AbortController();

it('the world outside keeps what each tenant sent, in order, and takes nothing while it is told to fail', async () => {
  const outside = new Outside(() => 1_000);
  const body = { type: 'x.y', timestamp: '2024-01-01T00:00:00.000Z', data: { n: 1 } };
  const webhook = {
    kind: 'webhook',
    id: 'w',
    url: 'https://a.example/',
    type: 'x.y',
    text: JSON.stringify(body),
  } as const;
  const mail = { kind: 'email', id: 'm', to: ['a@b.example'], subject: 's', text: 't' } as const;
  expect(await outside.send(A, webhook, signal)).toEqual({ kind: 'sent' });
  outside.fail('down');
  expect(await outside.send(A, mail, signal)).toEqual({ kind: 'again', reason: 'down' });
  outside.fail(undefined);
  await outside.send(B, mail, signal);
  await outside.send(A, mail, signal);
  expect(outside.sentBy('a')).toEqual([
    { kind: 'webhook', id: 'w', url: 'https://a.example/', type: 'x.y', body, at: new Date(1_000) },
    { ...mail, html: undefined, attachments: [], at: new Date(1_000) },
  ]);
  expect(outside.sentBy('b').map((one) => one.id)).toEqual(['m']);
});
