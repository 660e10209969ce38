/** Programs of ours that run in a process of their own and answer with one line of JSON. */
import { spawn } from 'node:child_process';
import { setPriority } from 'node:os';
import { builtProgram } from './paths.ts';

/**
 * Runs `dist/bench/NAME.js` and gives the last line of its stdout, parsed. Rejects with the end of its stderr when
 * it fails or takes longer than `timeoutMs`.
 */
export function runProgram<Result>(
  name: string,
  args: readonly string[],
  options: {
    readonly timeoutMs: number;
    readonly env?: Readonly<Record<string, string>>;
    /** The nice value it computes with; absent: ours. */
    readonly nice?: number;
  },
): Promise<Result> {
  const child = spawn(process.execPath, [builtProgram(name), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  // At once, since its further threads take it over from its first.
  if (options.nice !== undefined && child.pid !== undefined) setPriority(child.pid, options.nice);
  let output = '';
  let complaints = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints = (complaints + text).slice(-4_000);
  });
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(late);
      const last = output.trimEnd().split('\n').at(-1) ?? '';
      if (code === 0 && last !== '') resolve(JSON.parse(last) as Result);
      else reject(new Error(`${name} ended with ${code ?? signal}: ${complaints.trim() || '(silent)'}`));
    });
  });
}
