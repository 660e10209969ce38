import type { ComponentChildren } from 'preact';

export type Tone = 'good' | 'waiting' | 'changed' | 'bad' | 'quiet';

interface BadgeProps {
  readonly tone: Tone;
  readonly title?: string | undefined;
  /** For those who look for it: `firing`. */
  readonly name?: string;
  readonly children: ComponentChildren;
}

/** A state in a word: its colour says nothing that the word does not. */
export function Badge({ tone, title, name, children }: BadgeProps) {
  return (
    <span class={`badge ${tone}`} title={title} data-state={name}>
      {children}
    </span>
  );
}
