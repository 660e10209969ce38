/** The real process, killed while it writes a large request. */
import { expect, it } from 'vitest';
import { call, startServer, temporaryDirectory } from '../support/server-process.ts';

const ROWS = 60_000;
const NDJSON = { 'content-type': 'application/x-ndjson' };
const body = (grade: number): string =>
  Array.from({ length: ROWS }, (_, n) => `{"id":${n},"grade":${grade}}\n`).join('');

it('a request whose process is killed is there whole or not at all, and the same again completes it', async () => {
  const data = await temporaryDirectory();
  let server = await startServer(data.path);
  const grades = async () => {
    const query = 'SELECT grade, count() AS n FROM merchants GROUP BY grade ORDER BY grade';
    return (
      (await call(server, 'POST', '/v1/sql', { query })).json.rows as { grade: number; n: number }[]
    ).map((row) => [row.grade, Number(row.n)]);
  };
  try {
    await call(server, 'PUT', '/v1/tables/merchants', {
      key: 'id',
      fields: { id: 'uint64', grade: 'int32' },
    });
    const post = (grade: number) => call(server, 'POST', '/v1/tables/merchants/rows', body(grade), NDJSON);
    expect((await post(0)).json).toEqual({ rows: ROWS, changed: ROWS });
    for (const [round, waitMs] of [60, 250, 600].entries()) {
      const grade = round + 1;
      const answered = post(grade).then(
        ({ status }) => status === 200,
        () => false,
      );
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      await server.end('SIGKILL');
      const wasAnswered = await answered;
      server = await startServer(data.path);
      const found = await grades();
      const [before, after] = [[[round, ROWS]], [[grade, ROWS]]];
      expect(wasAnswered ? [after] : [before, after]).toContainEqual(found);
      expect((await post(grade)).json).toEqual({ rows: ROWS, changed: found[0]![0] === grade ? 0 : ROWS });
      expect(await grades()).toEqual(after);
    }
  } finally {
    await server.end('SIGKILL');
    await data.remove();
  }
});
