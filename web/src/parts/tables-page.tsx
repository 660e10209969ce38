import type { Rights } from '../api/rights.ts';
import { loose, textOf } from '../model/loose.ts';
import { ObjectsPage, type PageProps } from './objects-page.tsx';
import { TableDetail } from './table-detail.tsx';

export function TablesPage({ rights, ...props }: PageProps & { readonly rights: Rights }) {
  return (
    <ObjectsPage
      {...props}
      kind="table"
      title="Tables"
      columns={[
        { name: 'Key', cell: ({ document }) => textOf(document.key) ?? '' },
        {
          name: 'Fields',
          kind: 'long',
          cell: ({ document }) => Object.keys(loose(document.fields)).join(', '),
        },
        { name: 'Versions', cell: ({ document }) => (document.history === false ? 'newest only' : 'kept') },
      ]}
      empty={
        <p>
          A table says what the numbers are about: the country of a channel, the owner of a station. Numbers
          are grouped by its columns. Define one in <code>millrace.config.ts</code> or with{' '}
          <code>PUT /v1/tables/NAME</code>.
        </p>
      }
      detail={(chosen) => <TableDetail api={props.api} table={chosen} rights={rights} />}
    />
  );
}
