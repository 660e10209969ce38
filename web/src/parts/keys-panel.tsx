import { useState } from 'preact/hooks';
import { type KeyInfo, listKeys } from '../api/access.ts';
import type { Api } from '../api/client.ts';
import { formatTime } from '../model/format.ts';
import { useAnswer } from '../state/use-answer.ts';
import { CopyLine } from './copy-line.tsx';
import { KeyMaker } from './key-maker.tsx';
import { RevokeQuestion, RotateQuestion } from './key-questions.tsx';

const REFRESH_MS = 10_000;

export interface Secret {
  readonly name: string;
  readonly text: string;
}

type Asked = { readonly act: 'rotate' | 'revoke'; readonly key: KeyInfo };

/** The keys of the tenant: made here, rotated, revoked. A secret is shown once and kept nowhere. */
export function KeysPanel({ api, streams }: { readonly api: Api; readonly streams: readonly string[] }) {
  const [changes, setChanges] = useState(0);
  const [secret, setSecret] = useState<Secret>();
  const [asked, setAsked] = useState<Asked>();
  const { answer, error } = useAnswer({
    // After a change at once, not at the next turn.
    question: `keys ${changes}`,
    revision: () => String(Math.floor(Date.now() / REFRESH_MS)),
    ask: (signal) => listKeys(api, signal),
  });
  const close = (): void => setAsked(undefined);
  const changed = (next: Secret | undefined): void => {
    setSecret((last) => next ?? last);
    setChanges((count) => count + 1);
  };

  return (
    <section class="card" aria-labelledby="keys-title">
      <div class="panel-head">
        <h2 id="keys-title">Keys</h2>
      </div>
      {answer !== undefined && answer.length > 0 && (
        <KeysTable keys={answer} onAsk={(act, key) => setAsked({ act, key })} />
      )}
      {answer?.length === 0 && <p class="note">There is no key yet.</p>}
      {error !== undefined && <p class="note failed">{error}</p>}
      {secret !== undefined && (
        <div class="secret" role="status">
          <p>
            The key <b>{secret.name}</b>. It is shown this once: copy it now.
          </p>
          <CopyLine key={secret.text} text={secret.text} />
          <button type="button" onClick={() => setSecret(undefined)}>
            Hide the key
          </button>
        </div>
      )}
      <KeyMaker api={api} streams={streams} onMade={changed} />
      {asked?.act === 'rotate' && (
        <RotateQuestion api={api} subject={asked.key} onDone={changed} onClose={close} />
      )}
      {asked?.act === 'revoke' && (
        <RevokeQuestion api={api} subject={asked.key} onDone={() => changed(undefined)} onClose={close} />
      )}
    </section>
  );
}

interface KeysTableProps {
  readonly keys: readonly KeyInfo[];
  readonly onAsk: (act: Asked['act'], key: KeyInfo) => void;
}

function KeysTable({ keys, onAsk }: KeysTableProps) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard.
    <section class="scroller" aria-label="Table of keys" tabIndex={0}>
      <table class="keys">
        <thead>
          <tr>
            {['Name', 'Begins with', 'May', 'Ends (UTC)', 'Last used (UTC)'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
            <th scope="col">
              <span class="unseen">Change</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {keys.map((key) => (
            <tr key={key.name} data-key={key.name}>
              <th scope="row">{key.name}</th>
              <td>
                <code>{key.prefix}</code>
                {key.alsoUntil !== null && (
                  <span class="muted">{` and the one before until ${formatTime(key.alsoUntil)}`}</span>
                )}
              </td>
              <td>
                {key.scopes.join(', ')}
                {key.filtered.length > 0 && (
                  <span class="muted">{` only some rows of ${key.filtered.join(', ')}`}</span>
                )}
              </td>
              <td>
                {key.expiresAt === null ? 'never' : formatTime(key.expiresAt)}
                {key.expiresAt !== null && key.expiresAt <= Date.now() && <span class="mark">ended</span>}
              </td>
              <td>{formatTime(key.lastUsedAt)}</td>
              <td class="acts">
                <button type="button" aria-label={`Rotate ${key.name}`} onClick={() => onAsk('rotate', key)}>
                  Rotate
                </button>
                <button type="button" aria-label={`Revoke ${key.name}`} onClick={() => onAsk('revoke', key)}>
                  Revoke
                </button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
