import type { TenantInfo } from '../api/access.ts';
import { type Rights, UNKNOWN_RIGHTS } from '../api/rights.ts';
import type { StreamInfo } from '../model/stream.ts';
import type { PageName } from '../model/view.ts';
import type { Answered } from '../state/use-answer.ts';
import type { StreamsReading } from '../state/use-streams.ts';
import { AccessPage } from './access-page.tsx';
import { DeliveriesPage } from './deliveries-page.tsx';
import { LostNotice } from './lost-notice.tsx';
import type { PageProps } from './objects-page.tsx';
import { ReportsPage } from './reports-page.tsx';
import { TablesPage } from './tables-page.tsx';
import { TriggersPage } from './triggers-page.tsx';
import { WindowsPage } from './windows-page.tsx';

export interface OtherPageProps extends PageProps {
  readonly page: PageName;
  readonly reading: StreamsReading;
  readonly rights: Rights | undefined;
  readonly streams: readonly StreamInfo[];
  readonly tenants: Answered<readonly TenantInfo[]>;
  readonly chosenTenant: string;
  readonly onTenant: (tenant: string) => void;
}

/** Every page but the first. */
export function OtherPage({ reading, ...props }: OtherPageProps) {
  const { connection, readAt } = reading;
  const lost = connection.kind === 'lost';
  return (
    <div class={lost ? 'board faded' : 'board'}>
      {lost && <LostNotice detail={connection.detail} readAt={readAt} />}
      <Content epoch={reading.epoch} {...props} />
    </div>
  );
}

function Content({
  page,
  tenants,
  chosenTenant,
  streams,
  onTenant,
  epoch,
  rights: known,
  ...props
}: Omit<OtherPageProps, 'reading'> & { readonly epoch: number }) {
  const rights = known ?? UNKNOWN_RIGHTS;
  switch (page) {
    case 'access':
      return (
        <AccessPage
          api={props.api}
          tenants={tenants}
          chosen={chosenTenant}
          streams={streams.map(({ name }) => name)}
          onTenant={onTenant}
        />
      );
    case 'windows':
      return <WindowsPage {...props} streams={streams} epoch={epoch} />;
    case 'triggers':
      return <TriggersPage {...props} rights={rights} epoch={epoch} />;
    case 'reports':
      return <ReportsPage {...props} rights={rights} />;
    case 'tables':
      return <TablesPage {...props} rights={rights} />;
    case 'deliveries':
      return <DeliveriesPage {...props} rights={rights} streams={streams} />;
  }
}
