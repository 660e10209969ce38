/** What `millrace init` writes. */
const CONFIG = `import { count, defineRollup, defineStream, sum, t, unique } from 'millrace';

// A stream says what its events look like. What does not fit goes to quarantine, with its reason.
export const visits = defineStream('visits', {
  fields: {
    visit_id: t.string({ maxLength: 64 }),
    at: t.timestamp(),                       // RFC 3339 or epoch milliseconds
    page: t.string({ maxLength: 200 }),
    country: t.string({ maxLength: 2 }).optional(),
    duration_ms: t.uint64(),
  },
  eventId: 'visit_id',                       // an event that comes again is counted once
  eventTime: 'at',                           // without it: the time of arrival
  dedupe: { within: '24h' },                 // for how long an id is remembered
  // lateness: { allowed: '10m', then: 'count' },   // or 'quarantine', or 'drop'
  // retention: { log: '7d', hot: '90d' },
});

// A rollup keeps numbers ready: by the minute, the hour and the day, for each page and country.
export const visitsByPage = defineRollup('visits_by_page', {
  from: visits,
  by: ['page', 'country'],
  every: '1m',
  measures: { visits: count(), visitors: unique('visit_id'), duration: sum('duration_ms') },
});
`;

const README = `# A Millrace project

- \`millrace.config.ts\`: the streams and rollups. Change it, then \`millrace plan\` and \`millrace apply\`.
- \`events.ndjson\`: a few events to begin with.

\`\`\`sh
millrace start                                   # prints the address, and once the key
export MILLRACE_KEY=…                            # the key, in another terminal
millrace send visits events.ndjson --ack stored
millrace stats visits --fn count --fn 'sum(duration_ms)' --by page
millrace tail visits
\`\`\`
The dashboard is at the address that \`millrace start\` prints; the API is under \`/docs\` there.
`;

const PAGES = ['/', '/pricing', '/docs', '/blog'];
const COUNTRIES = ['DE', 'FR', 'IN', 'US', 'BR'];
const EVENTS = 40;
const STEP_MS = 90_000;

/** The files by name; the sample events lie in the hour before \`nowMs\`. */
export function starterFiles(nowMs: number): ReadonlyMap<string, string> {
  const events = Array.from({ length: EVENTS }, (_, n) =>
    JSON.stringify({
      visit_id: `visit-${n + 1}`,
      at: new Date(nowMs - (EVENTS - n) * STEP_MS).toISOString(),
      page: PAGES[((n * 7) % 11) % PAGES.length],
      country: COUNTRIES[(n * 3) % COUNTRIES.length],
      duration_ms: 400 + ((n * 7_919) % 60_000),
    }),
  );
  return new Map([
    ['millrace.config.ts', CONFIG],
    ['events.ndjson', `${events.join('\n')}\n`],
    ['README.md', README],
    ['.gitignore', '.millrace/\nnode_modules/\n*.millrace-send.json\n'],
  ]);
}
