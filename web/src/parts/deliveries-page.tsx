import { useState } from 'preact/hooks';
import {
  type Delivery,
  listDeliveries,
  listWebhooks,
  replayDeliveries,
  type WebhookInfo,
} from '../api/deliveries.ts';
import type { Rights } from '../api/rights.ts';
import type { Count } from '../model/count.ts';
import { formatCount, formatTime } from '../model/format.ts';
import type { StreamInfo } from '../model/stream.ts';
import { useAnswer } from '../state/use-answer.ts';
import { ActButton } from './act-button.tsx';
import { Badge } from './badge.tsx';
import { Choice } from './choice.tsx';
import { type Column, DataTable } from './data-table.tsx';
import type { PageProps } from './objects-page.tsx';
import { Cut, Failure, Panel } from './panel.tsx';
import { RefusedNotice } from './refused-notice.tsx';
import { Select } from './select.tsx';

const REFRESH_MS = 10_000;
const SHOWN_MAX = 100;
const revision = (): string => String(Math.floor(Date.now() / REFRESH_MS));

interface DeliveriesPageProps extends PageProps {
  readonly rights: Rights;
  readonly streams: readonly StreamInfo[];
}

/** Where events are sent, what waits, and what was given up. */
export function DeliveriesPage({ rights, ...props }: DeliveriesPageProps) {
  return (
    <>
      <Webhooks {...props} />
      {rights.may('admin') ? (
        <Letters api={props.api} />
      ) : (
        <RefusedNotice
          title="Messages"
          why="This key has not the scope admin, by which messages that wait or were given up are seen."
        />
      )}
    </>
  );
}

function Webhooks({ api, view, onView, streams }: Omit<DeliveriesPageProps, 'rights'>) {
  const chosen = (streams.find(({ name }) => name === view.stream) ?? streams[0])?.name;
  const { answer, stale, error } = useAnswer({
    question: chosen,
    revision,
    ask: (signal) => listWebhooks(api, chosen!, signal),
  });
  return (
    <Panel
      id="webhooks"
      title="Webhooks"
      controls={
        chosen !== undefined && (
          <Select
            label="Webhooks of the stream"
            options={streams.map(({ name }) => [name, name] as const)}
            value={chosen}
            onChange={(stream) => onView({ ...view, stream })}
          />
        )
      }
    >
      {answer && !stale && answer.length > 0 && (
        <DataTable label="Table of webhooks" columns={WEBHOOKS} rows={answer} keyOf={({ name }) => name} />
      )}
      {chosen === undefined && <p class="note">There is no stream yet.</p>}
      {answer && !stale && answer.length === 0 && (
        <p class="note">
          <span>
            Events of {chosen} are not sent anywhere.{' '}
            <code>{`millrace webhooks put ${chosen} NAME URL`}</code> has them sent.
          </span>
        </p>
      )}
      <Failure error={error} />
    </Panel>
  );
}

const STATES = { active: 'good', paused: 'quiet', off: 'bad' } as const;

const WEBHOOKS: readonly Column<WebhookInfo>[] = [
  { name: 'Name', cell: ({ name }) => name },
  {
    name: 'State',
    cell: ({ state, reason }) => (
      <Badge tone={STATES[state as keyof typeof STATES] ?? 'quiet'} name={state} title={reason}>
        {state}
      </Badge>
    ),
  },
  { name: 'To', kind: 'long', cell: ({ url }) => url },
  { name: 'Only', kind: 'long', cell: ({ filter }) => filter.join(' and ') },
  {
    ...{ name: 'Behind', meaning: 'Events that were not looked at yet', kind: 'number' },
    cell: ({ behind }) => <span class={behind === 0 ? 'zero' : ''}>{formatCount(behind)}</span>,
  },
  {
    ...{ name: 'What is wrong', kind: 'long' },
    cell: ({ reason, lastError, attempts }) =>
      reason ?? (lastError === undefined ? '' : `${lastError}, ${formatCount(attempts)} tries`),
  },
];

const LETTERS = [
  ['dead', 'Given up'],
  ['waiting', 'Waiting'],
] as const;

function Letters({ api }: Pick<PageProps, 'api'>) {
  const [state, setState] = useState<'dead' | 'waiting'>('dead');
  const [acts, setActs] = useState(0);
  const [failed, setFailed] = useState<string>();
  const [replayed, setReplayed] = useState<Count>();
  const { answer, stale, error, refused } = useAnswer({
    question: `${state} ${acts}`,
    revision,
    ask: (signal) => listDeliveries(api, state, SHOWN_MAX, signal),
  });
  if (refused) return <RefusedNotice title="Messages" why={error ?? ''} />;
  const replay = (deliveries?: readonly string[]) => async () => {
    setReplayed(await replayDeliveries(api, deliveries));
    setActs((count) => count + 1);
  };
  const acting: readonly Column<Delivery>[] =
    state === 'waiting'
      ? [{ name: 'Next try (UTC)', cell: ({ nextMs }) => formatTime(nextMs) }]
      : [
          {
            ...{ name: 'Change', kind: 'acts' as const },
            cell: ({ delivery, id }) => (
              <ActButton label="Replay" name={`Replay ${id}`} act={replay([delivery])} onError={setFailed} />
            ),
          },
        ];
  const rows = stale && error === undefined ? [] : (answer?.deliveries ?? []);
  return (
    <Panel
      id="letters"
      title={
        <>
          Messages{' '}
          {answer && (
            <span class="muted">{`${formatCount(answer.dead)} given up, ${formatCount(answer.waiting)} waiting`}</span>
          )}
        </>
      }
      controls={
        <>
          <Choice
            name="letters"
            legend="Which messages"
            options={LETTERS}
            value={state}
            onChange={setState}
          />
          {state === 'dead' && (answer?.dead ?? 0) > 0 && (
            <ActButton label="Replay all" act={replay()} onError={setFailed} />
          )}
        </>
      }
    >
      {rows.length > 0 && (
        <DataTable
          label="Table of messages"
          columns={[...MESSAGES, ...acting]}
          rows={rows}
          keyOf={({ delivery }) => delivery}
          tall
        />
      )}
      {answer && rows.length === 0 && (
        <p class="note">{state === 'dead' ? 'Nothing was given up.' : 'Nothing waits.'}</p>
      )}
      {answer && <Cut shown={rows.length} of={Math.max(answer[state], rows.length)} what="messages" />}
      {replayed !== undefined && <p class="note" role="status">{`Sent again: ${formatCount(replayed)}.`}</p>}
      <Failure error={failed ?? error} />
    </Panel>
  );
}

const MESSAGES: readonly Column<Delivery>[] = [
  { name: 'Entered (UTC)', cell: ({ enteredMs }) => formatTime(enteredMs) },
  { name: 'Kind', cell: ({ kind }) => kind },
  { name: 'To', kind: 'long', cell: ({ destination }) => destination },
  { name: 'What', kind: 'long', cell: ({ type }) => type },
  { name: 'Tries', kind: 'number', cell: ({ attempts }) => formatCount(attempts) },
  { name: 'Last answer', kind: 'long', cell: ({ lastError }) => lastError ?? '' },
];
