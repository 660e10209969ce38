import { FINALITY_WORDS, type Finality } from '../model/finality.ts';
import { Badge } from './badge.tsx';

const TONES = { open: 'waiting', final: 'good', corrected: 'changed' } as const;

/** Beside a number: whether it can still change. In a word, with the meaning on demand. */
export function FinalityMark({ finality }: { readonly finality: Finality | null | undefined }) {
  if (finality === null || finality === undefined) return null;
  return (
    <Badge tone={TONES[finality]} title={FINALITY_WORDS[finality]} name={finality}>
      {finality}
    </Badge>
  );
}
