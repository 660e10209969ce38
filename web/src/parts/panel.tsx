import type { ComponentChildren } from 'preact';

interface PanelProps {
  /** Unique in the page. */
  readonly id: string;
  readonly title: ComponentChildren;
  /** Beside the title: choices, states, buttons. */
  readonly controls?: ComponentChildren;
  readonly wide?: boolean;
  readonly children: ComponentChildren;
}

/** A card with a heading. */
export function Panel({ id, title, controls, wide, children }: PanelProps) {
  return (
    <section class={wide ? 'card wide' : 'card'} aria-labelledby={`${id}-title`} data-panel={id}>
      <div class="panel-head">
        <h2 id={`${id}-title`}>{title}</h2>
        {controls !== undefined && <div class="controls">{controls}</div>}
      </div>
      {children}
    </section>
  );
}

/** Names and what they stand for, side by side where there is room. */
export function Facts({ facts }: { readonly facts: readonly (readonly [string, ComponentChildren])[] }) {
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** Why there is nothing, or not the newest. */
export function Failure({ error }: { readonly error: string | undefined }) {
  if (error === undefined) return null;
  return (
    <p class="note failed" role="alert">
      {error}
    </p>
  );
}

/** `First 100 of 10,000 groups.`, when not all are shown. */
export function Cut({
  shown,
  of,
  what,
}: {
  readonly shown: number;
  /** How many there are; undefined: more, nobody has counted them. */
  readonly of: number | undefined;
  readonly what: string;
}) {
  if (of !== undefined && of <= shown) return null;
  const count = new Intl.NumberFormat('en');
  return (
    <p class="note" data-cut>
      First {count.format(shown)} of {of === undefined ? 'more' : count.format(of)} {what}.
    </p>
  );
}
