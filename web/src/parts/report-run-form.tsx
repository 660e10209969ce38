import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import type { ObjectInfo } from '../api/objects.ts';
import { type ReportRun, runReport } from '../api/reports.ts';
import { formatValue } from '../model/format.ts';
import { loose } from '../model/loose.ts';
import { momentOfForm, parameterOf } from '../model/report.ts';
import { Failure } from './panel.tsx';

interface ReportRunFormProps {
  readonly api: Api;
  readonly report: ObjectInfo;
  readonly onRun: (run: ReportRun) => void;
}

/** Runs it now: about the newest period that has ended, or one that is named. */
export function ReportRunForm({ api, report, onRun }: ReportRunFormProps) {
  const [failed, setFailed] = useState<string>();
  const [asking, setAsking] = useState(false);
  const known = Object.entries(loose(report.document.parameters));

  async function submit(event: SubmitEvent): Promise<void> {
    event.preventDefault();
    if (asking) return;
    const said = new FormData(event.currentTarget as HTMLFormElement);
    const text = (part: string): string => String(said.get(part) ?? '');
    const [from, to] = [momentOfForm(text('from')), momentOfForm(text('to'))];
    if ((from === undefined) !== (to === undefined))
      return setFailed('Name both ends of the period, or none for the newest one.');
    const parameters = known.map(([name, value]) => [name, parameterOf(value, text(`parameter ${name}`))]);
    setAsking(true);
    setFailed(undefined);
    try {
      const period = from === undefined || to === undefined ? {} : { from, to };
      onRun(
        await runReport(api, report.name, {
          ...period,
          ...(known.length === 0 ? {} : { parameters: Object.fromEntries(parameters) }),
        }),
      );
    } catch (thrown) {
      setFailed(thrown instanceof Error ? thrown.message : String(thrown));
    }
    setAsking(false);
  }

  return (
    <details class="maker top">
      <summary>Run it now</summary>
      <form onSubmit={(event) => void submit(event)}>
        <label>
          From (UTC)
          <input type="datetime-local" name="from" step="1" />
        </label>
        <label>
          To (UTC)
          <input type="datetime-local" name="to" step="1" />
        </label>
        {known.map(([name, value]) => (
          <label key={name}>
            {name}
            <input name={`parameter ${name}`} defaultValue={formatValue(value)} autocomplete="off" />
          </label>
        ))}
        <button type="submit" class="primary" disabled={asking}>
          Run
        </button>
        <p class="muted">Without from and to: the newest period that has ended.</p>
      </form>
      <Failure error={failed} />
    </details>
  );
}
