import type { ComponentChildren } from 'preact';

export interface Column<Row> {
  readonly name: string;
  /** What the column tells, on demand. */
  readonly meaning?: string;
  /** `number`: to the right. `long`: cut when it does not fit, and whole on demand. `acts`: buttons. */
  readonly kind?: 'number' | 'long' | 'acts';
  readonly cell: (row: Row, index: number) => ComponentChildren;
}

interface DataTableProps<Row> {
  /** What the table shows, for those who do not see it. */
  readonly label: string;
  /** The first column names the row. */
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly rowClass?: (row: Row) => string;
  /** Rows are chosen by the button in their first cell; a click anywhere in them does the same. */
  readonly onChoose?: (row: Row) => void;
  readonly chosen?: string | undefined;
  readonly caption?: string;
  readonly tall?: boolean;
}

/** Rows of one kind: scrolls within itself, with the keyboard too; the first column stays in sight. */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { label, columns, rows, keyOf, rowClass, onChoose, chosen, caption, tall } = props;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard.
    <section class={tall ? 'scroller tall' : 'scroller'} aria-label={label} tabIndex={0}>
      <table class={onChoose ? 'data choosable' : 'data'}>
        {caption !== undefined && <caption>{caption}</caption>}
        <thead>
          <tr>
            {columns.map(({ name, meaning, kind }, at) => (
              <th key={`${at} ${name}`} scope="col" class={classOf(kind, at)} title={meaning}>
                {kind === 'acts' ? <span class="unseen">{name}</span> : name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => {
            const key = keyOf(row);
            const isChosen = onChoose !== undefined && key === chosen;
            return (
              // The button in the first cell does the same.
              <tr
                key={key}
                data-row={key}
                class={`${isChosen ? 'chosen' : ''} ${rowClass?.(row) ?? ''}`}
                onClick={onChoose && (() => onChoose(row))}
              >
                {columns.map(({ name, kind, cell }, at) =>
                  at === 0 ? (
                    <th key={`${at} ${name}`} scope="row" class={classOf(kind, at)}>
                      {onChoose ? (
                        <button type="button" class="plain name" aria-pressed={isChosen}>
                          {cell(row, index)}
                        </button>
                      ) : (
                        cell(row, index)
                      )}
                    </th>
                  ) : (
                    <Cell key={`${at} ${name}`} kind={kind} at={at} content={cell(row, index)} />
                  ),
                )}
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}

interface CellProps {
  readonly kind: Column<unknown>['kind'];
  readonly at: number;
  readonly content: ComponentChildren;
}

function Cell({ kind, at, content }: CellProps) {
  const whole = kind === 'long' && typeof content === 'string' ? content : undefined;
  return (
    <td class={classOf(kind, at)} title={whole}>
      {content}
    </td>
  );
}

const classOf = (kind: Column<unknown>['kind'], at: number): string =>
  `${kind ?? ''}${at === 0 ? ' sticky' : ''}`;
