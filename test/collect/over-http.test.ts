import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { MillraceError } from '../../src/base/errors.ts';
import { CLICKS, setUp } from './helpers.ts';

let server: http.Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A bare HTTP door that answers with the status, and remembers how each request ended. */
async function open(limits: Parameters<typeof setUp>[1] = {}) {
  const parts = setUp(CLICKS, limits);
  const ends: string[] = [];
  server = http.createServer((request, response) => {
    const length = request.headers['content-length'];
    void parts
      .sendStream(request, {
        contentType: request.headers['content-type'],
        contentLength: length === undefined ? undefined : Number(length),
      })
      .then(
        () => 202,
        (error) => (error instanceof MillraceError ? error.status : 500),
      )
      .then((status) => {
        ends.push(String(status));
        response.writeHead(status).end();
      });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as net.AddressInfo;
  const connect = async () => {
    const socket = net.connect(port, '127.0.0.1');
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  const ended = async (count: number) => {
    while (ends.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    return ends;
  };
  return { ...parts, connect, ended };
}

const head = (rest: string) =>
  `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n${rest}\r\n\r\n`;

describe('over a real connection', () => {
  it('takes nothing of a body whose sender hangs up', async () => {
    const { connect, ended, log } = await open();
    for (const rest of ['Content-Length: 1000', 'Transfer-Encoding: chunked']) {
      const socket = await connect();
      socket.write(`${head(rest)}${rest.startsWith('T') ? '9\r\n' : ''}{"id":1}\n`);
      setTimeout(() => socket.destroy(), 20);
    }
    expect(await ended(2)).toEqual(['400', '400']);
    expect(log.lines()).toEqual([]);
  });

  it('serves the next request of a connection after it refused one', async () => {
    const { connect, ended, log } = await open({ bodyBytesMax: 1_000 });
    const socket = await connect();
    const body = '{"id":1}\n'.repeat(200);
    socket.write(`${head(`Content-Length: ${body.length}`)}${body}`);
    socket.write(`${head('Transfer-Encoding: chunked')}5dc\r\n${'x'.repeat(1_500)}\r\n0\r\n\r\n`);
    socket.write(`${head('Content-Length: 9')}{"id":7}\n`);
    expect(await ended(3)).toEqual(['413', '413', '202']);
    expect(log.lines()).toEqual(['{"id":7}']);
    socket.destroy();
  });

  it('cuts the connection of a body that goes on after it was refused', async () => {
    const { connect, ended } = await open({ bodyBytesMax: 1_000 });
    const socket = await connect();
    socket.write(head('Transfer-Encoding: chunked'));
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const pump = () => {
      if (!socket.destroyed) socket.write(`400\r\n${' '.repeat(1_024)}\r\n`, () => setImmediate(pump));
    };
    pump();
    expect(await ended(1)).toEqual(['413']);
    socket.resume();
    await closed;
  });
});
