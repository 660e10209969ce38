import { useEffect, useRef, useState } from 'preact/hooks';

interface KeyFormProps {
  /** Why the server refused the last key; undefined when none was tried. */
  readonly refused: string | undefined;
  readonly onKey: (key: string) => void;
}

export function KeyForm({ refused, onKey }: KeyFormProps) {
  const input = useRef<HTMLInputElement>(null);
  const [mistake, setMistake] = useState<string>();
  const message = mistake ?? (refused === undefined ? undefined : `The server refused this key. ${refused}`);

  // A refusal brings the reader back to the field.
  useEffect(() => input.current?.focus(), [refused]);

  function submit(event: Event): void {
    event.preventDefault();
    const key = input.current?.value.trim() ?? '';
    // Anything else cannot travel in a header.
    if (/^[\x21-\x7e]+$/.test(key)) onKey(key);
    else setMistake('A key is one word of letters, digits and punctuation.');
  }

  return (
    <section class="card gate" aria-labelledby="gate-title">
      <h2 id="gate-title">Enter your key</h2>
      <p>
        The server prints its admin key once, when it starts for the first time; with{' '}
        <code>MILLRACE_ADMIN_KEY</code> set, it is that. It stays in this tab and is forgotten when you close
        it.
      </p>
      <form onSubmit={submit}>
        <label for="key">Key</label>
        <div class="row">
          <input
            id="key"
            ref={input}
            type="password"
            autocomplete="off"
            spellcheck={false}
            aria-invalid={message !== undefined}
            aria-describedby={message === undefined ? undefined : 'key-message'}
          />
          <button type="submit" class="primary">
            Open
          </button>
        </div>
        {message !== undefined && (
          <p id="key-message" class="alert" role="alert">
            {message}
          </p>
        )}
      </form>
    </section>
  );
}
