/** Runs the writing process (writer.ts) and kills it at a given moment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';

const ROOT = resolve(import.meta.dirname, '../..');

export interface Killed {
  /** Steps whose end was told before the kill. */
  readonly acknowledged: readonly number[];
  /** The last step that was begun; undefined when none was. */
  readonly lastTried: number | undefined;
}

export class Writer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  readonly #ready: Promise<void>;
  #said = '';

  constructor(directory: string, task: string, from = 0) {
    this.#child = spawn(
      process.execPath,
      ['--import', 'jiti/register', 'test/conformance/writer.ts', directory, task, String(from)],
      { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let errors = '';
    this.#child.stderr!.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    this.#ended = new Promise((done) => this.#child.once('close', () => done()));
    this.#ready = new Promise((done, failed) => {
      this.#child.stdout!.on('data', (chunk: Buffer) => {
        this.#said += chunk.toString();
        if (this.#said.startsWith('ready\n')) done();
      });
      void this.#ended.then(() => failed(new Error(`the writer ended by itself: ${errors}`)));
    });
  }

  ready(): Promise<void> {
    return this.#ready;
  }

  /** SIGKILL, `afterMs` milliseconds after the writer began. Fails when it had ended by itself. */
  async kill(afterMs: number): Promise<Killed> {
    await this.#ready;
    await new Promise((done) => setTimeout(done, afterMs));
    if (this.#child.exitCode !== null) throw new Error(`the writer gave up: ${this.#said.slice(-300)}`);
    this.#child.kill('SIGKILL');
    await this.#ended;
    const numbersOf = (word: string): number[] =>
      [...this.#said.matchAll(new RegExp(`^${word} (\\d+)$`, 'gm'))].map((match) => Number(match[1]));
    return { acknowledged: numbersOf('ack'), lastTried: numbersOf('try').at(-1) };
  }
}

/** Moments of a dozen kills: spread over the first milliseconds of work, none like another. */
export const killMoments = (kills: number, spanMs: number): number[] =>
  Array.from({ length: kills }, (_, i) => (i * 0.618_034 * spanMs) % spanMs);
