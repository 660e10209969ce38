import { useState } from 'preact/hooks';
import { type AuditEntry, listAudit } from '../api/access.ts';
import type { Api } from '../api/client.ts';
import { detailText } from '../model/audit.ts';
import { formatTime } from '../model/format.ts';
import { useAnswer } from '../state/use-answer.ts';

const REFRESH_MS = 10_000;
const ENTRIES = 20;

/** Who did what, and what was refused: twenty acts at a time, the newest first. */
export function AuditPanel({ api }: { readonly api: Api }) {
  // The cursors of the pages that were turned, so that one can turn back.
  const [cursors, setCursors] = useState<readonly string[]>([]);
  const cursor = cursors.at(-1);
  const { answer, stale, error } = useAnswer({
    question: `audit ${cursor ?? ''}`,
    revision: () => (cursor === undefined ? String(Math.floor(Date.now() / REFRESH_MS)) : ''),
    ask: (signal) => listAudit(api, ENTRIES, cursor, signal),
  });
  const next = stale ? undefined : answer?.next;
  return (
    <section class="card" aria-labelledby="audit-title">
      <div class="panel-head">
        <h2 id="audit-title">Audit log</h2>
        <div class="controls">
          {cursors.length > 0 && (
            <button type="button" onClick={() => setCursors(cursors.slice(0, -1))}>
              Newer
            </button>
          )}
          {next !== undefined && (
            <button type="button" onClick={() => setCursors([...cursors, next])}>
              Older
            </button>
          )}
        </div>
      </div>
      {answer !== undefined && answer.entries.length > 0 && <Entries entries={answer.entries} />}
      {answer?.entries.length === 0 && <p class="note">Nothing was done yet.</p>}
      {error !== undefined && <p class="note failed">{error}</p>}
    </section>
  );
}

function Entries({ entries }: { readonly entries: readonly AuditEntry[] }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard.
    <section class="scroller" aria-label="Table of acts" tabIndex={0}>
      <table class="audit">
        <thead>
          <tr>
            {['When (UTC)', 'Tenant', 'Who', 'Did', 'To what', 'Outcome', 'More'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => {
            const detail = detailText(entry.detail);
            return (
              <tr key={entry.id}>
                <td>{formatTime(entry.at)}</td>
                <td>{entry.tenant}</td>
                <td>{entry.actor}</td>
                <td>{entry.action}</td>
                <td>{entry.subject}</td>
                <td class={entry.outcome === 'refused' ? 'warn' : ''}>{entry.outcome}</td>
                <td class="muted detail-text" title={detail}>
                  {detail}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
