import type { Rights } from '../api/rights.ts';
import { formatTime } from '../model/format.ts';
import { textOf } from '../model/loose.ts';
import { nextDueMs, questionsText, scheduleText } from '../model/report.ts';
import { ObjectsPage, type PageProps } from './objects-page.tsx';
import { ReportDetail } from './report-detail.tsx';

export function ReportsPage({ rights, ...props }: PageProps & { readonly rights: Rights }) {
  return (
    <ObjectsPage
      {...props}
      kind="report"
      title="Reports"
      columns={[
        { name: 'Title', kind: 'long', cell: ({ document }) => textOf(document.title) ?? '' },
        { name: 'Runs', kind: 'long', cell: ({ document }) => scheduleText(document) },
        { name: 'About', cell: ({ document }) => `the last ${textOf(document.period) ?? '–'}` },
        { name: 'Next (UTC)', cell: ({ document }) => formatTime(nextDueMs(document, Date.now())) },
        { name: 'Questions', kind: 'long', cell: ({ document }) => questionsText(document) },
      ]}
      empty={
        <p>
          A report answers questions about a period, on a schedule, on demand or because a trigger fired, and
          keeps the answers. Define one in <code>millrace.config.ts</code> or with{' '}
          <code>PUT /v1/reports/NAME</code>.
        </p>
      }
      detail={(chosen) => <ReportDetail {...props} report={chosen} rights={rights} />}
    />
  );
}
