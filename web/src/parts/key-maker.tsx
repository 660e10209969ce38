import { useState } from 'preact/hooks';
import { makeKey } from '../api/access.ts';
import type { Api } from '../api/client.ts';
import type { Secret } from './keys-panel.tsx';

/** What a key may do, and whether that may be said of one stream alone. */
const SCOPES = [
  ['events:write', 'send events', true],
  ['stats:read', 'read numbers and events', true],
  ['sql:read', 'ask in SQL', false],
  ['definitions:write', 'define streams and rollups', false],
  ['admin', 'all of it, and keys', false],
] as const;

interface KeyMakerProps {
  readonly api: Api;
  readonly streams: readonly string[];
  readonly onMade: (secret: Secret) => void;
}

export function KeyMaker({ api, streams, onMade }: KeyMakerProps) {
  const [error, setError] = useState<string>();
  const [making, setMaking] = useState(false);

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (making) return;
    const form = event.currentTarget as HTMLFormElement;
    const said = new FormData(form);
    const text = (part: string): string => String(said.get(part) ?? '').trim();
    const [name, stream, expires] = [text('name'), text('stream'), text('expires')];
    const scopes = SCOPES.filter(([scope]) => said.has(scope)).map(([scope, , ofStream]) =>
      ofStream && stream !== '' ? `${scope}:${stream}` : scope,
    );
    if (scopes.length === 0) return setError('Choose what the key may do.');
    setMaking(true);
    setError(undefined);
    try {
      const secret = await makeKey(api, { name, scopes, expires: expires === '' ? null : expires });
      form.reset();
      onMade({ name, text: secret });
    } catch (thrown) {
      setError(thrown instanceof Error ? thrown.message : String(thrown));
    }
    setMaking(false);
  }

  return (
    <details class="maker">
      <summary>Make a key</summary>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          Name
          <input name="name" required autocomplete="off" spellcheck={false} maxLength={63} />
        </label>
        <fieldset>
          <legend>May</legend>
          {SCOPES.map(([scope, meaning]) => (
            <label key={scope}>
              <input type="checkbox" name={scope} /> {meaning} <code>{scope}</code>
            </label>
          ))}
        </fieldset>
        <label>
          Sends and reads
          <select name="stream">
            <option value="">all streams</option>
            {streams.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <label>
          Ends
          <select name="expires">
            <option value="">never</option>
            <option value="1d">in a day</option>
            <option value="30d">in 30 days</option>
            <option value="90d">in 90 days</option>
            <option value="365d">in a year</option>
          </select>
        </label>
        <button type="submit" class="primary" disabled={making}>
          Make the key
        </button>
        {error !== undefined && (
          <p class="alert" role="alert">
            {error}
          </p>
        )}
      </form>
    </details>
  );
}
