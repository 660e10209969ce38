/** Reports: questions whose answers are computed on a schedule, on demand or by a trigger, kept and sent. */
import { Cron } from 'croner';
import { z } from 'zod';
import { formatDuration, parseDuration } from '../../base/duration.ts';
import { duration, fieldName, strict } from '../document.ts';
import type { KindOf, Reference } from './kinds.ts';
import { isTimeZone, readObject, tableOfColumn } from './reading.ts';
import { relationsNamed } from './sql-relations.ts';

/** `sql` is asked as `POST /v1/sql`, `stats` as `GET /v1/streams/{stream}/stats`; both know the parameters `from` and `to`. */
export type ReportQuestion =
  | { readonly name: string; readonly chart: ReportChart; readonly sql: string }
  | {
      readonly name: string;
      readonly chart: ReportChart;
      readonly stream: string;
      /** The query of the question, member by member, as in its address: `{fn: ['count'], by: 'page'}`. */
      readonly stats: Readonly<Record<string, string | readonly string[]>>;
    };
export type ReportChart = 'table' | 'line' | 'bar';

export interface ReportDefinition {
  readonly kind: 'report';
  readonly name: string;
  readonly title: string;
  readonly questions: readonly ReportQuestion[];
  /** Parameters of the questions, with what they are when nobody says. */
  readonly parameters: Readonly<Record<string, string | number | boolean>>;
  /** Length of the period that a run is about, ending where it is due: `10m`, `1h`, `1d`, `1w`, `1mo`. */
  readonly period: string;
  /** Five or six fields; undefined: only on demand and by triggers. */
  readonly cron: string | undefined;
  readonly timeZone: string;
  /** How long after the end of a period it runs, so that late events are in it. */
  readonly delayMs: number;
  readonly email: { readonly to: readonly string[]; readonly subject: string | undefined } | undefined;
  /** How long results are kept; undefined: for ever. */
  readonly retentionMs: number | undefined;
}

const PERIOD = /^([1-9]\d{0,3})(m|h|d|w|mo)$/;
const chart = z.enum(['table', 'line', 'bar']).optional().describe('How it is drawn. Default table.');
const parameter = z.union([z.string().max(4_000), z.number(), z.boolean()]);

export const reportDocument = strict({
  title: z.string().min(1).max(200).optional(),
  questions: z
    .record(
      fieldName,
      z.union([
        strict({ sql: z.string().min(1).max(100_000), chart }),
        strict({
          stream: z.string(),
          stats: z.record(z.string(), z.union([z.string(), z.array(z.string()).max(32)])),
          chart,
        }),
      ]),
    )
    .describe('1 to 20 questions by name; `{from:DateTime64(3)}` and `{to:DateTime64(3)}` are the period.'),
  parameters: z.record(fieldName, parameter).optional(),
  period: z.string().regex(PERIOD, 'write a number and a unit: 10m, 1h, 1d, 1w, 1mo'),
  cron: z.string().max(200).optional().describe('When it runs, for example `*/10 * * * *`.'),
  tz: z.string().optional().describe('IANA zone of schedule and period. Default UTC.'),
  delay: duration('0s', '30d', 'How long after the end of the period it runs.').optional(),
  email: strict({
    to: z.array(z.email()).min(1).max(50),
    subject: z.string().max(200).optional(),
  }).optional(),
  retention: duration('1h', '50y', 'How long results are kept.').optional(),
}).describe('A report: questions that are answered on a schedule, on demand or by a trigger.');

const QUESTIONS_MAX = 20;
/** Every question knows these. */
const PERIOD_PARAMETERS = ['from', 'to'];

/** What is wrong with a schedule; undefined: it can be kept. */
function cronMistake(cron: string, timeZone: string): string | undefined {
  const fields = cron.trim().split(/\s+/).length;
  if (fields !== 5 && fields !== 6) return 'write five fields, or six with seconds in front: */10 * * * *';
  try {
    const schedule = new Cron(cron, { timezone: timeZone, paused: true });
    // From a moment that is the same for all: a definition that was read once is read always.
    return schedule.nextRun(new Date(0)) === null ? 'no such day ever comes' : undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export const reportKind: KindOf<ReportDefinition> = {
  schema: reportDocument,
  parse: (name, document, known) =>
    readObject('report', name, document, reportDocument, (read, mistakes): ReportDefinition => {
      const questions = Object.entries(read.questions);
      if (questions.length === 0 || questions.length > QUESTIONS_MAX)
        mistakes.add(['questions'], `a report has 1 to ${QUESTIONS_MAX} questions`);
      for (const [question, one] of questions) {
        if ('stream' in one && !known.stream(one.stream))
          mistakes.add(['questions', question, 'stream'], `there is no stream "${one.stream}"`);
      }
      const timeZone = read.tz ?? 'UTC';
      if (!isTimeZone(timeZone)) mistakes.add(['tz'], `"${timeZone}" is no IANA zone; write Europe/Berlin`);
      else if (read.cron !== undefined) {
        const mistake = cronMistake(read.cron, timeZone);
        if (mistake !== undefined) mistakes.add(['cron'], mistake);
      }
      for (const taken of PERIOD_PARAMETERS.filter((one) => Object.hasOwn(read.parameters ?? {}, one)))
        mistakes.add(['parameters', taken], 'this is the period, which every question knows already');
      return {
        kind: 'report',
        name,
        title: read.title ?? name,
        questions: questions.map(([question, { chart, ...one }]) => ({
          name: question,
          chart: chart ?? 'table',
          ...one,
        })),
        parameters: read.parameters ?? {},
        period: read.period,
        cron: read.cron,
        timeZone,
        delayMs: read.delay === undefined ? 0 : parseDuration(read.delay)!,
        email: read.email && { to: read.email.to, subject: read.email.subject },
        retentionMs: read.retention === undefined ? undefined : parseDuration(read.retention),
      };
    }),
  toDocument: (report) => ({
    title: report.title,
    questions: Object.fromEntries(report.questions.map(({ name, ...question }) => [name, question])),
    ...(Object.keys(report.parameters).length === 0 ? {} : { parameters: report.parameters }),
    period: report.period,
    ...(report.cron === undefined ? {} : { cron: report.cron }),
    tz: report.timeZone,
    delay: formatDuration(report.delayMs),
    ...(report.email === undefined
      ? {}
      : {
          email: {
            to: [...report.email.to],
            ...(report.email.subject === undefined ? {} : { subject: report.email.subject }),
          },
        }),
    ...(report.retentionMs === undefined ? {} : { retention: formatDuration(report.retentionMs) }),
  }),
  references: (report) => {
    const { streams, tables, relations } = readsOf(report, report.parameters);
    return [
      ...streams.map((name): Reference => ({ kind: 'stream', name })),
      ...tables.map((name): Reference => ({ kind: 'table', name })),
      // What stands behind a name in SQL is told when it is asked; until then it may be any of them.
      ...relations.flatMap((name) => relationKinds(name)),
    ];
  },
};

/** What the questions of a report read, each name once: streams of stats, tables that they are joined with, names in SQL. */
export function readsOf(
  { questions }: Pick<ReportDefinition, 'questions'>,
  parameters: ReportDefinition['parameters'],
): {
  readonly streams: readonly string[];
  readonly tables: readonly string[];
  readonly relations: readonly string[];
} {
  const [streams, tables, relations] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for (const question of questions) {
    if ('sql' in question) for (const name of relationsNamed(question.sql)) relations.add(name);
    else {
      streams.add(question.stream);
      const { by = [], where = [] } = question.stats;
      const dimensions = [by].flat().flatMap((one) => fillParameters(one, parameters).split(','));
      const conditions = [where].flat().map((one) => fillParameters(one, parameters).split(':', 1)[0]!);
      for (const written of [...dimensions, ...conditions]) {
        const table = tableOfColumn(written);
        if (table !== undefined) tables.add(table);
      }
    }
  }
  return { streams: [...streams], tables: [...tables], relations: [...relations] };
}

/** `{name}` in a question as stats stands for the parameter of that name. */
export const fillParameters = (text: string, parameters: ReportDefinition['parameters']): string =>
  text.replaceAll(/\{([A-Za-z][A-Za-z0-9_]*)\}/g, (whole, name: string) =>
    Object.hasOwn(parameters, name) ? String(parameters[name]) : whole,
  );

const HISTORY = '_history';

function relationKinds(name: string): readonly Reference[] {
  const table = name.endsWith(HISTORY) ? name.slice(0, -HISTORY.length) : '';
  return [
    ...(['stream', 'rollup', 'table'] as const).map((kind): Reference => ({ kind, name })),
    ...(table === '' ? [] : [{ kind: 'table', name: table } as const]),
  ];
}

export interface ReportSpec {
  readonly title?: string;
  /** 1 to 20, by name; `{from:DateTime64(3)}` and `{to:DateTime64(3)}` are the period in SQL. */
  readonly questions: Readonly<
    Record<
      string,
      | { readonly sql: string; readonly chart?: ReportChart }
      | {
          /** A definition, or its name. */
          readonly stream: string | { readonly name: string };
          readonly stats: Readonly<Record<string, string | readonly string[]>>;
          readonly chart?: ReportChart;
        }
    >
  >;
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
  /** Length of what a run is about: `10m`, `1h`, `1d`, `1w`, `1mo`; days and more by the calendar of `tz`. */
  readonly period: string;
  readonly cron?: string;
  /** IANA zone of schedule and period. Default UTC. */
  readonly tz?: string;
  readonly delay?: string;
  readonly email?: { readonly to: readonly string[]; readonly subject?: string };
  readonly retention?: string;
}

/**
 * Defines a report: questions whose answers are computed on a schedule, on demand or by a trigger, kept and sent. Fails with
 * `bad-definition`, whose `issues` hold every mistake; what it names is checked when it is applied.
 *
 * @example
 * export const merchants = defineReport('merchants', {
 *   questions: { top: { stream: orders, stats: { fn: ['count', 'sum(amount)'], by: 'merchant' }, chart: 'bar' } },
 *   period: '10m',
 *   cron: '*\/10 * * * *',
 * });
 */
export function defineReport(name: string, { questions, ...spec }: ReportSpec): ReportDefinition {
  const named = Object.entries(questions).map(([question, one]) => [
    question,
    'sql' in one || typeof one.stream === 'string' ? one : { ...one, stream: one.stream.name },
  ]);
  return reportKind.parse(
    name,
    { ...spec, questions: Object.fromEntries(named) },
    // Streams are checked when the report is applied.
    { stream: (stream) => ({ name: stream }) as never, rollup: () => undefined, object: () => undefined },
  );
}
