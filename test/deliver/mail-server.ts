/** A mail server on this machine that remembers everything. */
import type { AddressInfo } from 'node:net';
import { SMTPServer, type SMTPServerAuthentication, type SMTPServerSession } from 'smtp-server';

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
}

export const PASSWORD = 'p@ss/w:rd';

export async function startMailServer() {
  const mails: Mail[] = [];
  let refuse: { responseCode: number } | undefined;
  const server = new SMTPServer({
    disabledCommands: ['STARTTLS'],
    allowInsecureAuth: true,
    onAuth: (auth: SMTPServerAuthentication, _session, done) =>
      auth.username === 'millrace' && auth.password === PASSWORD
        ? done(null, { user: 'millrace' })
        : done(Object.assign(new Error(`no ${auth.password}`), { responseCode: 535 })),
    onData: (stream, session: SMTPServerSession, done) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        if (refuse) return done(Object.assign(new Error('no'), refuse));
        const { mailFrom, rcptTo } = session.envelope;
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString(),
        });
        done();
      });
    },
  });
  server.on('error', () => undefined);
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const { port } = server.server.address() as AddressInfo;
  return {
    mails,
    url: (password = PASSWORD) => `smtp://millrace:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    refuses: (responseCode: number | undefined) => {
      refuse = responseCode === undefined ? undefined : { responseCode };
    },
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
