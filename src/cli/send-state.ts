/** How far a file has been sent, kept beside it, so that the same command goes on where it stopped. */
import { createHash } from 'node:crypto';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { Failure } from './io.ts';

const EDGE_BYTES = 64 * 1_024;

/** Names the content of a file: its size, its time of change, its first and last 64 KiB. 32 hex digits. */
export async function fingerprintOf(file: string): Promise<string> {
  const { size, mtimeMs } = await stat(file);
  const hash = createHash('sha256').update(`${size} ${Math.floor(mtimeMs)} `);
  const handle = await open(file);
  try {
    for (const position of [0, Math.max(0, size - EDGE_BYTES)]) {
      const { buffer, bytesRead } = await handle.read(Buffer.alloc(EDGE_BYTES), 0, EDGE_BYTES, position);
      hash.update(buffer.subarray(0, bytesRead));
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex').slice(0, 32);
}

const count = z.number().int().min(0);

const sendState = z.object({
  fingerprint: z.string(),
  stream: z.string(),
  url: z.string(),
  /** How the records were numbered and changed: another answer would be another set of records. */
  rules: z.string(),
  /** Every record before this one is accepted or rejected. */
  nextRecord: count,
  nextByte: count,
  accepted: count,
  rejected: count,
  keptAtMs: z.number(),
});
export type SendState = z.infer<typeof sendState>;

export class SendStateFile {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** The state of this very task; undefined when it begins. Fails when what is there belongs to another one. */
  async read(
    task: Pick<SendState, 'fingerprint' | 'stream' | 'url' | 'rules'>,
  ): Promise<SendState | undefined> {
    const text = await readFile(this.path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new Failure(`${this.path} cannot be read (${error.message}); say --state PATH.`);
    });
    if (text === undefined) return undefined;
    const state = this.#parse(text);
    const anew = '--restart begins anew; --state PATH keeps the two apart.';
    if (state === undefined)
      throw new Failure(`${this.path} is not readable as a state of millrace send. ${anew}`);
    if (state.fingerprint !== task.fingerprint)
      throw new Failure(`the file has changed since record ${state.nextRecord} was sent. ${anew}`);
    if (state.stream !== task.stream || state.url !== task.url)
      throw new Failure(`${this.path} is about the stream "${state.stream}" at ${state.url}. ${anew}`);
    if (state.rules !== task.rules)
      throw new Failure(`the file was being sent with other options (${state.rules}). ${anew}`);
    return state;
  }

  /** Never leaves half a state behind. An older state is as good: what it sends again has the same ids. */
  async write(state: SendState): Promise<void> {
    const next = `${this.path}.next`;
    await writeFile(next, `${JSON.stringify(state)}\n`).catch((error: Error) => {
      throw new Failure(`the state cannot be kept at ${this.path} (${error.message}); say --state PATH.`);
    });
    await rename(next, this.path);
  }

  async remove(): Promise<void> {
    await rm(this.path, { force: true });
    await rm(`${this.path}.next`, { force: true });
  }

  #parse(text: string): SendState | undefined {
    try {
      return sendState.parse(JSON.parse(text));
    } catch {
      return undefined;
    }
  }
}
