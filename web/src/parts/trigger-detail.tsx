import { useState } from 'preact/hooks';
import type { ObjectInfo } from '../api/objects.ts';
import type { Rights } from '../api/rights.ts';
import { askTriggerState, askTurns, type GroupState, muteTrigger, type Turn } from '../api/triggers.ts';
import { formatCount, formatMeasure, formatTime } from '../model/format.ts';
import { actionsText, conditionText, sourceText } from '../model/trigger.ts';
import { useAnswer } from '../state/use-answer.ts';
import { useFeed } from '../state/use-feed.ts';
import { ActButton } from './act-button.tsx';
import { Badge } from './badge.tsx';
import { type Column, DataTable } from './data-table.tsx';
import { DryRunPanel } from './dry-run-panel.tsx';
import type { PageProps } from './objects-page.tsx';
import { Cut, Facts, Failure, Panel } from './panel.tsx';
import { TriggerMark } from './triggers-page.tsx';

interface TriggerDetailProps extends Pick<PageProps, 'api'> {
  readonly trigger: ObjectInfo;
  readonly rights: Rights;
  readonly epoch: number;
}

/** Numbers of groups move without anything being told. */
const REFRESH_MS = 5_000;
const GROUPS_MAX = 100;
const TURNS_MAX = 20;
const MUTE = '+1h';

/** One trigger: what it waits for, its groups, what it told, and what it would have told. */
export function TriggerDetail({ api, trigger, rights, epoch }: TriggerDetailProps) {
  const { name, document } = trigger;
  const [acts, setActs] = useState(0);
  const [failed, setFailed] = useState<string>();
  const told = useFeed(api, name, epoch);
  const state = useAnswer({
    question: String(acts),
    revision: () => `${told} ${epoch} ${Math.floor(Date.now() / REFRESH_MS)}`,
    ask: (signal) => askTriggerState(api, name, GROUPS_MAX, signal),
  });
  const turns = useAnswer({
    question: name,
    revision: () => `${told} ${epoch}`,
    ask: (signal) => askTurns(api, name, TURNS_MAX, signal),
  });
  const mayMute = rights.may('definitions:write');
  const mute = (until: string, group?: GroupState) => async () => {
    await muteTrigger(api, name, until, group?.group);
    setActs((count) => count + 1);
  };
  const { answer } = state;
  const of = Number(answer?.firing ?? 0) + Number(answer?.pending ?? 0);
  return (
    <>
      <Panel
        id="trigger"
        wide
        title={
          <>
            {name} {answer && <TriggerMark state={answer} />}
          </>
        }
        controls={
          mayMute &&
          answer && (
            <ActButton
              label={answer.mutedUntilMs === null ? 'Mute for an hour' : 'Unmute'}
              name={`${answer.mutedUntilMs === null ? 'Mute' : 'Unmute'} ${name}`}
              act={mute(answer.mutedUntilMs === null ? MUTE : 'now')}
              onError={setFailed}
            />
          )
        }
      >
        <p class="lead-text">
          {`Fires when ${conditionText(document)}, by the ${sourceText(document)}; then ${actionsText(document)}.`}
        </p>
        {answer && (
          <Facts
            facts={[
              ['Looked at up to (UTC)', formatTime(answer.atMs)],
              ['Firing', formatCount(answer.firing)],
              ['Pending', formatCount(answer.pending)],
              ...(answer.mutedUntilMs === null
                ? []
                : [['Muted until (UTC)', formatTime(answer.mutedUntilMs)] as const]),
              ...(answer.ignored === 0
                ? []
                : [['Numbers not watched', formatCount(answer.ignored)] as const]),
            ]}
          />
        )}
        <Failure error={answer?.error} />
        <Failure error={failed ?? state.error} />
        {answer?.groups.length === 0 && <p class="note">Nothing fires, and nothing is about to.</p>}
        {answer && answer.groups.length > 0 && (
          <DataTable
            label="Groups"
            columns={groupColumns(mayMute, mute, setFailed)}
            rows={answer.groups}
            keyOf={({ key }) => key}
            tall
          />
        )}
        {answer && <Cut shown={answer.groups.length} of={Math.max(of, answer.groups.length)} what="groups" />}
      </Panel>
      <DryRunPanel api={api} name={name} />
      <Panel id="turns" title="Last changes">
        {turns.answer?.length === 0 && <p class="note">It has not fired yet.</p>}
        {turns.answer && turns.answer.length > 0 && (
          <DataTable label="Last changes" columns={TURNS} rows={turns.answer} keyOf={({ id }) => id} tall />
        )}
        <Failure error={turns.error} />
      </Panel>
    </>
  );
}

const TONES = { firing: 'bad', pending: 'waiting', inactive: 'good', resolved: 'good' } as const;

function State({ state }: { readonly state: string }) {
  return (
    <Badge tone={TONES[state as keyof typeof TONES] ?? 'quiet'} name={state}>
      {state}
    </Badge>
  );
}

const TURNS: readonly Column<Turn>[] = [
  { name: 'When (UTC)', cell: ({ atMs }) => formatTime(atMs) },
  { name: 'State', cell: ({ status }) => <State state={status} /> },
  { name: 'Group', kind: 'long', cell: ({ label }) => label },
  { name: 'Value', kind: 'number', cell: ({ value }) => formatMeasure(value) },
];

const groupColumns = (
  mayMute: boolean,
  mute: (until: string, group: GroupState) => () => Promise<void>,
  onError: (error: string | undefined) => void,
): readonly Column<GroupState>[] => [
  { name: 'Group', cell: ({ label }) => (label === '' ? 'all' : label) },
  { name: 'State', cell: ({ state }) => <State state={state} /> },
  { name: 'Value', kind: 'number', cell: ({ value }) => formatMeasure(value) },
  { name: 'Since (UTC)', cell: ({ sinceMs }) => formatTime(sinceMs) },
  { name: 'Newest number (UTC)', cell: ({ atMs }) => formatTime(atMs) },
  { name: 'Muted until (UTC)', cell: ({ mutedUntilMs }) => formatTime(mutedUntilMs) },
  ...(mayMute
    ? [
        {
          name: 'Change',
          kind: 'acts' as const,
          cell: (group: GroupState) =>
            group.mutedUntilMs === null ? (
              <ActButton
                {...{ label: 'Mute', name: `Mute ${group.label} for an hour`, onError }}
                act={mute(MUTE, group)}
              />
            ) : (
              <ActButton
                {...{ label: 'Unmute', name: `Unmute ${group.label}`, onError }}
                act={mute('now', group)}
              />
            ),
        },
      ]
    : []),
];
