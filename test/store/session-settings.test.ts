import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Session } from 'chdb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SessionSettings } from '../../src/store/session-settings.ts';

let directory: string;
let session: Session;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-session-settings-'));
  session = new Session(join(directory, 'store'));
});
afterAll(() => {
  session.close();
  rmSync(directory, { recursive: true, force: true });
});

const settingOf = (name: string): string => session.query(`SELECT getSetting('${name}')`, 'TSVRaw').trim();

describe('settings of a session', () => {
  it('are what the statement before it left them to be, and only what differs is set', async () => {
    const settings = new SessionSettings();
    await settings.set(session, { max_threads: 2, log_comment: "'a'" });
    expect(settings.agree(session, { max_threads: 2 })).toBe(true);
    // By another hand: it stays, since nothing that is wanted differs from what is known.
    session.query('SET max_threads = 3');
    await settings.set(session, { max_threads: 2, log_comment: "'b'" }, ["param_p='1'"]);
    expect([settingOf('max_threads'), settingOf('log_comment')]).toEqual(['3', 'b']);
    expect(session.query('SELECT {p:UInt8}', 'TSVRaw').trim()).toBe('1');
    await settings.set(session, { max_threads: 1 });
    expect(settingOf('max_threads')).toBe('1');
  });

  it('are all set again when nobody knows what a failure has left', async () => {
    const settings = new SessionSettings();
    await settings.set(session, { max_threads: 2 });
    await expect(settings.set(session, { max_threads: 4, no_such_setting: 1 })).rejects.toThrow();
    expect(settings.agree(session, { max_threads: 2 })).toBe(false);
    await settings.set(session, { max_threads: 2 });
    expect(settingOf('max_threads')).toBe('2');
  });

  it('of one statement end with it', async () => {
    const settings = new SessionSettings();
    await settings.set(session, { max_threads: 2 });
    await session.queryAsync('SELECT 1 SETTINGS max_threads = 1', { format: 'Null' });
    await session.queryAsync('SELECT throwIf(1) SETTINGS max_threads = 1').catch(() => undefined);
    expect(settingOf('max_threads')).toBe('2');
  });
});
