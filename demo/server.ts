/** The server of the demo: the program itself, started as a user starts it, in a process of its own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface DemoServer {
  readonly url: string;
  stop(): Promise<void>;
}

export async function startDemoServer(options: {
  readonly directory: string;
  readonly port: number;
  readonly key: string;
}): Promise<DemoServer> {
  const program = fileURLToPath(new URL('../../bin/millrace.cjs', import.meta.url));
  const child = spawn(process.execPath, [program, 'start'], {
    cwd: options.directory,
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      MILLRACE_DATA: options.directory,
      MILLRACE_PORT: String(options.port),
      MILLRACE_ADMIN_KEY: options.key,
      MILLRACE_LOG_LEVEL: 'warn',
    },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  let out = '';
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
      const match = /http:\/\/\S+/.exec(out);
      if (match) resolve(match[0]);
    });
    void ended.then(() =>
      reject(
        new Error(`the server did not start; is port ${options.port} free? (--port chooses another)\n${out}`),
      ),
    );
  });
  return {
    url,
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}
