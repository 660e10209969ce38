import { useState } from 'preact/hooks';

/** Text for a shell. The first text stays: it carries a time, and must not change under the reader's hand. */
export function CopyLine({ text }: { readonly text: string }) {
  const [line] = useState(text);
  const [copied, setCopied] = useState(false);
  async function copy(): Promise<void> {
    await navigator.clipboard.writeText(line);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  }
  return (
    <div class="copy-line">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard. */}
      <pre tabIndex={0}>
        <code>{line}</code>
      </pre>
      {/* Only secure addresses have a clipboard. */}
      {navigator.clipboard && (
        <button type="button" onClick={() => void copy().catch(() => {})}>
          <span aria-live="polite">{copied ? 'Copied' : 'Copy'}</span>
        </button>
      )}
    </div>
  );
}
