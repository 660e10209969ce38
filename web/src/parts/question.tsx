import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface QuestionProps {
  readonly title: string;
  /** What the button says that does it. */
  readonly verb: string;
  readonly act: () => Promise<void>;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
}

/** Asks before something is done that cannot be taken back. Escape is a no; the browser keeps the focus inside. */
export function Question({ title, verb, act, onClose, children }: QuestionProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [acting, setActing] = useState(false);
  const [error, setError] = useState<string>();
  useEffect(() => dialog.current?.showModal(), []);

  async function submit(event: Event): Promise<void> {
    event.preventDefault();
    if (acting) return;
    setActing(true);
    try {
      await act();
      dialog.current?.close();
    } catch (thrown) {
      setError(thrown instanceof Error ? thrown.message : String(thrown));
      setActing(false);
    }
  }

  return (
    <dialog ref={dialog} class="card question" aria-labelledby="question-title" onClose={onClose}>
      <form onSubmit={(event) => void submit(event)}>
        <h2 id="question-title">{title}</h2>
        {children}
        {error !== undefined && (
          <p class="alert" role="alert">
            {error}
          </p>
        )}
        <div class="row">
          <button type="button" onClick={() => dialog.current?.close()}>
            Cancel
          </button>
          <button type="submit" class="primary" disabled={acting}>
            {verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
