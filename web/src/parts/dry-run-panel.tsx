import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import { dryRun } from '../api/triggers.ts';
import { formatCount, formatMeasure, formatTime } from '../model/format.ts';
import { type DryRun, type Firing, firingSeries } from '../model/trigger.ts';
import { ActButton } from './act-button.tsx';
import { Chart } from './chart.tsx';
import { Choice } from './choice.tsx';
import { type Column, DataTable } from './data-table.tsx';
import { Cut, Failure, Panel } from './panel.tsx';

const RANGES = [
  ['-1h', '1h'],
  ['-24h', '24h'],
  ['-7d', '7d'],
  ['-30d', '30d'],
] as const;
type From = (typeof RANGES)[number][0];

const SHOWN_MAX = 100;

/** When it would have fired, by what is stored: nobody is told. */
export function DryRunPanel({ api, name }: { readonly api: Api; readonly name: string }) {
  const [from, setFrom] = useState<From>('-24h');
  const [found, setFound] = useState<DryRun>();
  const [failed, setFailed] = useState<string>();
  return (
    <Panel
      id="dry-run"
      title="Try it on the past"
      controls={
        <>
          <Choice name="dry-run" legend="How far back" options={RANGES} value={from} onChange={setFrom} />
          <ActButton
            label="Try"
            act={async () => setFound(await dryRun(api, name, from))}
            onError={setFailed}
          />
        </>
      }
    >
      {found === undefined && failed === undefined && (
        <p class="note">Goes over what is stored by the same rules. Nobody is told, and nothing changes.</p>
      )}
      <Failure error={failed} />
      {found && (
        <>
          <p class="headline" role="status">
            <span class="figure" data-figure="firings">
              {formatCount(found.firings.length)}
            </span>{' '}
            <span class="muted">
              {`firings in ${formatTime(found.fromMs)} to ${formatTime(found.toMs)} UTC, out of ${formatCount(found.observations)} numbers`}
            </span>
          </p>
          <div class="chart-area low">
            <Chart series={seriesOf(found)} shape="bars" />
          </div>
          {found.firings.length > 0 && (
            <DataTable
              label="What would have fired"
              columns={COLUMNS}
              rows={found.firings.slice(0, SHOWN_MAX)}
              keyOf={({ key }) => key}
              tall
            />
          )}
          <Cut
            shown={Math.min(found.firings.length, SHOWN_MAX)}
            of={found.isCut ? undefined : found.firings.length}
            what="firings"
          />
        </>
      )}
    </Panel>
  );
}

const seriesOf = (found: DryRun) => ({
  ...firingSeries(found),
  measure: 'groups that fire',
  finalityOf: () => undefined,
});

const COLUMNS: readonly Column<Firing>[] = [
  { name: 'Fired (UTC)', cell: ({ firedMs }) => formatTime(firedMs) },
  { name: 'Group', kind: 'long', cell: ({ label }) => (label === '' ? 'all' : label) },
  { name: 'Value', kind: 'number', cell: ({ value }) => formatMeasure(value) },
  {
    name: 'Over (UTC)',
    cell: ({ resolvedMs }) => (resolvedMs === null ? 'fires still' : formatTime(resolvedMs)),
  },
];
