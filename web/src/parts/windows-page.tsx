import { textOf } from '../model/loose.ts';
import type { StreamInfo } from '../model/stream.ts';
import { shapeText } from '../model/window.ts';
import { ObjectsPage, type PageProps } from './objects-page.tsx';
import { WindowDetail } from './window-detail.tsx';

interface WindowsPageProps extends PageProps {
  readonly streams: readonly StreamInfo[];
  readonly epoch: number;
}

export function WindowsPage({ streams, epoch, ...props }: WindowsPageProps) {
  return (
    <ObjectsPage
      {...props}
      kind="window"
      title="Windows"
      columns={[
        { name: 'Is', cell: ({ document }) => shapeText(document) },
        { name: 'Over', cell: ({ document }) => textOf(document.from) ?? '' },
        { name: 'Where', kind: 'long', cell: ({ document }) => textOf(document.where) ?? '' },
      ]}
      empty={
        <p>
          A window tells the numbers of a stream for each stretch of time, once they are complete: alarms by
          station every five minutes, say. Define one in <code>millrace.config.ts</code> or with{' '}
          <code>PUT /v1/windows/NAME</code>.
        </p>
      }
      detail={(chosen) => (
        <WindowDetail
          {...props}
          epoch={epoch}
          window={chosen}
          stream={streams.find(({ name }) => name === chosen.document.from)}
        />
      )}
    />
  );
}
