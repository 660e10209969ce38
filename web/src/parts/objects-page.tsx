import type { ComponentChildren } from 'preact';
import type { Api } from '../api/client.ts';
import { listObjects, type ObjectInfo, type ObjectKind } from '../api/objects.ts';
import type { View } from '../model/view.ts';
import { useAnswer } from '../state/use-answer.ts';
import { type Column, DataTable } from './data-table.tsx';
import { Cut, Failure, Panel } from './panel.tsx';
import { RefusedNotice } from './refused-notice.tsx';

export interface PageProps {
  readonly api: Api;
  readonly view: View;
  readonly onView: (view: View) => void;
}

interface ObjectsPageProps extends PageProps {
  readonly kind: ObjectKind;
  readonly title: string;
  readonly columns: readonly Column<ObjectInfo>[];
  /** What such a thing is, and how one is made. */
  readonly empty: ComponentChildren;
  readonly detail: (chosen: ObjectInfo) => ComponentChildren;
}

const REFRESH_MS = 10_000;
const SHOWN_MAX = 200;

/** A list of definitions of one kind, and the chosen one below it. */
export function ObjectsPage({ api, view, onView, kind, title, columns, empty, detail }: ObjectsPageProps) {
  const { answer, error, refused } = useAnswer({
    question: kind,
    revision: () => String(Math.floor(Date.now() / REFRESH_MS)),
    ask: (signal) => listObjects(api, kind, signal),
  });
  if (refused) return <RefusedNotice title={title} why={error ?? ''} />;
  if (answer === undefined) return <p class="waiting-line">{error ?? `Reading the ${kind}s…`}</p>;
  if (answer.length === 0) {
    return (
      <section class="card welcome" aria-labelledby="empty-title">
        <h2 id="empty-title">There is no {kind} yet</h2>
        {empty}
      </section>
    );
  }
  const chosen = answer.find(({ name }) => name === view.name) ?? answer[0]!;
  const shown = answer.slice(0, SHOWN_MAX);
  const { tenant, page } = view;
  return (
    <div class="board">
      <Panel id={`${kind}s`} title={title}>
        <DataTable
          label={`Table of ${kind}s`}
          columns={[{ name: 'Name', cell: ({ name }) => name }, ...columns]}
          rows={shown.includes(chosen) ? shown : [chosen, ...shown]}
          keyOf={({ name }) => name}
          chosen={chosen.name}
          // What was chosen of the one before means nothing for the next.
          onChoose={({ name }) =>
            onView({
              ...(tenant === undefined ? {} : { tenant }),
              ...(page === undefined ? {} : { page }),
              name,
            })
          }
        />
        <Cut shown={shown.length} of={answer.length} what={`${kind}s`} />
        <Failure error={error} />
      </Panel>
      <div class="detail" key={chosen.name}>
        {detail(chosen)}
      </div>
    </div>
  );
}
