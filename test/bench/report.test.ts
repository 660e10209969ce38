import { describe, expect, it } from 'vitest';
import { readFigures, toMarkdown } from '../../bench/markdown.ts';

const line = JSON.stringify({
  bench: 'collect',
  case: 'single 1 KB, door alone',
  requests_per_second: 18_000,
  p99_ms: 20.5,
  fsync: true,
  machine: { cores: 2, node: 'v20' },
  notes: 'on one machine',
});

describe('the report', () => {
  it('is a table per benchmark that says beside each figure how far it is from its target', () => {
    const text = toMarkdown(readFigures(`> millrace bench\n${line}\n`));
    expect(text).toBe(
      [
        '## collect',
        '',
        '| case | targets | requests per second | p99 ms | fsync |',
        '| --- | --- | ---: | ---: | --- |',
        '| single 1 KB, door alone | requests per second ≥ 20 000: 90 % of it; p99 ms ≤ 25: reached | 18 000 | 20.5 | on |',
        '',
        'Notes: on one machine.',
        '',
        'Machine: cores 2, node v20.',
        '',
      ].join('\n'),
    );
  });

  it('says once what was the same in every case', () => {
    const figures = [1, 2].map((n) => ({
      bench: 'x',
      case: `${n}`,
      rate_per_second: n,
      fsync: true,
      rollups: n,
    }));
    const text = toMarkdown(figures);
    expect(text).toContain('| case | targets | rate per second | rollups |');
    expect(text).toContain('In all: fsync on.');
  });

  it('leaves the targets empty where there is none', () => {
    expect(toMarkdown([{ bench: 'x', case: 'y', rate_per_second: 1 }])).toContain('| y | - | 1 |');
  });
});
