/**
 * Turns the figures into a table: `node dist/bench/report.js FILE` or `npm run bench | node dist/bench/report.js`.
 */
import { readFileSync } from 'node:fs';
import type { Figure } from './figure.ts';
import { readFigures, toMarkdown } from './markdown.ts';

const figures: readonly Figure[] = readFigures(readFileSync(process.argv[2] ?? 0, 'utf8'));
process.stdout.write(toMarkdown(figures));
