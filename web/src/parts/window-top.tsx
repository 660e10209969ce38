import { useState } from 'preact/hooks';
import type { Top } from '../api/stats.ts';
import { askResults, finalityOf, keyText, type WindowResult } from '../api/windows.ts';
import { addCounts, toCount } from '../model/count.ts';
import { formatTime } from '../model/format.ts';
import { toDouble } from '../model/json.ts';
import { topItems } from '../model/window.ts';
import { useAnswer } from '../state/use-answer.ts';
import { FinalityMark } from './finality-mark.tsx';
import { Cut, Failure, Panel } from './panel.tsx';
import { Select } from './select.tsx';
import { TopTable } from './top-table.tsx';
import type { WindowPartProps } from './window-results.tsx';

const ASKED_MAX = 1_000;
const SHOWN = 10;

/** Of the newest window that was told: its greatest keys, and of one key the most frequent items. */
export function WindowTop({
  api,
  name,
  keys,
  measures,
  told,
  newest,
  measure,
}: WindowPartProps & { readonly measure: string | undefined }) {
  const [chosen, setChosen] = useState<string>();
  const startMs = newest.results[0]?.startMs;
  const { answer, error } = useAnswer({
    question: startMs === undefined ? undefined : String(startMs),
    revision: () => String(told),
    ask: (signal) => askResults(api, name, { limit: ASKED_MAX, startMs }, signal),
  });
  const ranking = measures.find(({ kind }) => kind === 'top');
  const numbers = measures.filter(({ kind }) => kind === 'number');
  const number = numbers.find(({ field }) => field === measure) ?? numbers[0];
  if (keys.length === 0 && ranking === undefined) return null;
  const results = answer?.results ?? [];
  const ofKey = results.find(({ key }) => key === chosen) ?? results[0];
  return (
    <Panel
      id="window-top"
      title={
        <>
          Top {SHOWN} <FinalityMark finality={ofKey && finalityOf(ofKey)} />
        </>
      }
      controls={
        ranking !== undefined &&
        keys.length > 0 &&
        ofKey !== undefined && (
          <Select
            label={`${ranking.field} of`}
            options={results.slice(0, 200).map((result) => [result.key, keyText(result, keys)] as const)}
            value={ofKey.key}
            onChange={setChosen}
          />
        )
      }
    >
      {startMs === undefined && <p class="note">No window has ended yet.</p>}
      {ofKey && ranking && <TopTable top={itemsOf(ofKey, ranking.field)} />}
      {keys.length > 0 && results.length > 0 && (
        <TopTable top={ranked(results, keys, number?.field ?? 'events')} />
      )}
      {startMs !== undefined && <p class="note">{`Window of ${formatTime(startMs)} UTC`}</p>}
      <Cut
        shown={results.length}
        of={answer?.next === undefined ? results.length : undefined}
        what="keys of the window were ranked"
      />
      <Failure error={error} />
    </Panel>
  );
}

function ranked(results: readonly WindowResult[], keys: readonly string[], field: string): Top {
  const value = (result: WindowResult): unknown => (field === 'events' ? result.events : result.row[field]);
  const size = (result: WindowResult): number => toDouble(value(result)) ?? -Infinity;
  const total = Number(addCounts(results.map(({ events }) => events)));
  const rows = results
    .toSorted((left, right) => size(right) - size(left))
    .slice(0, SHOWN)
    .map((result) => ({
      value: keyText(result, keys),
      count: result.events,
      share: Number(result.events) / Math.max(total, 1),
      measured: value(result),
    }));
  return { by: keys.join(', '), measure: field, rows };
}

function itemsOf(result: WindowResult, field: string): Top {
  const items = topItems(result.row[field]);
  const rows = items.map(({ value, count }) => ({
    ...{ value, count: toCount(count), measured: count },
    share: Number(count) / Math.max(Number(result.events), 1),
  }));
  return { by: field, measure: 'count', rows };
}
