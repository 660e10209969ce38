import type { Rights } from '../api/rights.ts';
import { type PageName, type View, writeView } from '../model/view.ts';

interface PlacesProps {
  readonly view: View;
  /** Whether the key may see keys, tenants and the audit log. */
  readonly isShown: boolean;
  readonly rights: Rights | undefined;
}

const NUMBERS = (rights: Rights): boolean => rights.seesAll && rights.may('stats:read');

const PLACES: readonly (readonly [PageName, string, (rights: Rights) => boolean])[] = [
  ['windows', 'Windows', NUMBERS],
  ['triggers', 'Triggers', NUMBERS],
  ['reports', 'Reports', NUMBERS],
  ['tables', 'Tables', NUMBERS],
  ['deliveries', 'Deliveries', (rights) => rights.seesAll && rights.may('definitions:write')],
];

/** The pages that the key may see. */
export function Places({ view: { tenant, page }, isShown, rights }: PlacesProps) {
  const kept = tenant === undefined ? {} : { tenant };
  const shown = rights === undefined ? [] : PLACES.filter(([, , isAllowed]) => isAllowed(rights));
  return (
    <nav class="places" aria-label="Pages">
      <a href={writeView(kept) || '#'} aria-current={page === undefined ? 'page' : undefined}>
        Streams
      </a>
      {shown.map(([name, label]) => (
        <a
          key={name}
          href={writeView({ ...kept, page: name })}
          aria-current={page === name ? 'page' : undefined}
        >
          {label}
        </a>
      ))}
      {isShown && (
        <a
          href={writeView({ ...kept, page: 'access' })}
          aria-current={page === 'access' ? 'page' : undefined}
        >
          Access
        </a>
      )}
    </nav>
  );
}
