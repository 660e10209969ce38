import type { Rights } from '../api/rights.ts';
import { askTriggerState, type TriggerState } from '../api/triggers.ts';
import { conditionText, sourceText } from '../model/trigger.ts';
import { useAnswer } from '../state/use-answer.ts';
import { Badge } from './badge.tsx';
import { ObjectsPage, type PageProps } from './objects-page.tsx';
import { TriggerDetail } from './trigger-detail.tsx';

interface TriggersPageProps extends PageProps {
  readonly rights: Rights;
  readonly epoch: number;
}

export function TriggersPage({ rights, epoch, ...props }: TriggersPageProps) {
  return (
    <ObjectsPage
      {...props}
      kind="trigger"
      title="Triggers"
      columns={[
        {
          name: 'State',
          cell: ({ name }, index) =>
            index < STATES_MAX ? <ListedState api={props.api} name={name} /> : 'choose it to see',
        },
        { name: 'Fires when', kind: 'long', cell: ({ document }) => conditionText(document) },
        { name: 'Looks at', kind: 'long', cell: ({ document }) => sourceText(document) },
      ]}
      empty={
        <p>
          A trigger watches a number for each group and tells when it crosses a line, and when that is over.
          Define one in <code>millrace.config.ts</code> or with <code>PUT /v1/triggers/NAME</code>.
        </p>
      }
      detail={(chosen) => <TriggerDetail {...props} trigger={chosen} rights={rights} epoch={epoch} />}
    />
  );
}

/** The list is looked over, not watched: each state is a question of its own. */
const REFRESH_MS = 15_000;
const STATES_MAX = 30;

function ListedState({ api, name }: { readonly api: PageProps['api']; readonly name: string }) {
  const { answer, error } = useAnswer({
    question: name,
    revision: () => String(Math.floor(Date.now() / REFRESH_MS)),
    ask: (signal) => askTriggerState(api, name, 1, signal),
  });
  if (answer === undefined) return <span class="muted">{error === undefined ? '…' : 'not known'}</span>;
  return <TriggerMark state={answer} />;
}

/** The state of the whole trigger: that of the group which is worst. */
export function TriggerMark({ state }: { readonly state: TriggerState }) {
  const { firing, pending, mutedUntilMs, error } = state;
  return (
    <>
      {firing !== 0 ? (
        <Badge tone="bad" name="firing">{`firing ${firing}`}</Badge>
      ) : pending !== 0 ? (
        <Badge tone="waiting" name="pending">{`pending ${pending}`}</Badge>
      ) : (
        <Badge tone="good" name="inactive">
          inactive
        </Badge>
      )}{' '}
      {mutedUntilMs !== null && (
        <Badge tone="quiet" name="muted">
          muted
        </Badge>
      )}
      {error !== undefined && (
        <Badge tone="bad" title={error} name="failing">
          cannot look
        </Badge>
      )}
    </>
  );
}
