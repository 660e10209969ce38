import { useState } from 'preact/hooks';

interface ActButtonProps {
  /** What it says: `Mute for an hour`. */
  readonly label: string;
  /** With what it acts upon, where several say the same. */
  readonly name?: string;
  readonly act: () => Promise<unknown>;
  readonly onError: (error: string | undefined) => void;
  readonly primary?: boolean;
}

/** A button that does something on the server, once at a time. */
export function ActButton({ label, name, act, onError, primary }: ActButtonProps) {
  const [acting, setActing] = useState(false);
  async function run(event: Event): Promise<void> {
    event.stopPropagation();
    if (acting) return;
    setActing(true);
    onError(undefined);
    try {
      await act();
    } catch (thrown) {
      onError(thrown instanceof Error ? thrown.message : String(thrown));
    }
    setActing(false);
  }
  return (
    <button
      type="button"
      class={primary ? 'primary' : ''}
      aria-label={name}
      aria-busy={acting}
      aria-disabled={acting}
      onClick={(event) => void run(event)}
    >
      {label}
    </button>
  );
}
