/** Computes the files of a run: all questions about one data version, each in every format. */
import type { TenantId } from '../base/brand.ts';
import { MillraceError } from '../base/errors.ts';
import type { ReportDefinition } from '../define/model.ts';
import { formatMoment } from '../stats/index.ts';
import { type Answer, type AnswerParts, askQuestion } from './answers.ts';
import { pinsOf } from './data-version.ts';
import { HTML_ROWS_MAX, reportHtml, type Section } from './html.ts';
import type { ReportRun, ResultFile } from './port.ts';
import type { ResultWriter } from './result-files.ts';

/** Of all files of a run. */
export const RUN_BYTES_MAX = 2 ** 28;

export interface Executing {
  readonly tenant: TenantId;
  readonly run: ReportRun;
  readonly definition: ReportDefinition;
  readonly signal: AbortSignal;
}

/** What it returns was written, and is durable when the writer has finished. */
export async function executeReport(
  parts: AnswerParts,
  { tenant, run, definition, signal }: Executing,
  writer: ResultWriter,
): Promise<readonly ResultFile[]> {
  const pins = pinsOf(run.dataVersion ?? {});
  const files: ResultFile[] = [];
  const sections: Section[] = [];
  const documents: string[] = [];
  let bytes = 0;
  const add = async (file: Omit<ResultFile, 'bytes' | 'sha256'>, content: Uint8Array): Promise<void> => {
    signal.throwIfAborted();
    bytes += content.byteLength;
    if (bytes > RUN_BYTES_MAX)
      throw new MillraceError(
        'bad-question',
        `the results hold more than ${RUN_BYTES_MAX} bytes; ask for less`,
      );
    files.push(await writer.add(file, content));
  };
  for (const question of definition.questions) {
    signal.throwIfAborted();
    const answer = await askQuestion(parts, { tenant, run, pins, signal }, question);
    try {
      const { name } = question;
      for (const [format, out] of OF_ENGINE)
        await add({ name: `${name}.${format}`, format, question: name }, await answer.write(out));
      documents.push(`${JSON.stringify(name)}:${await answerJson(answer)}`);
      sections.push({
        ...{ name, chart: question.chart, columns: answer.columns, total: answer.rows },
        rows: await answer.cells(HTML_ROWS_MAX),
      });
    } finally {
      await answer.remove();
    }
  }
  const json = `${headJson(definition, run)},"questions":{${documents.join(',')}}}\n`;
  await add({ name: `${WHOLE}.json`, format: 'json', question: undefined }, Buffer.from(json));
  const html = reportHtml(definition.title, run, sections);
  await add({ name: `${WHOLE}.html`, format: 'html', question: undefined }, Buffer.from(html));
  return files;
}

/** No name of a question: those begin with a letter. */
const WHOLE = '_report';
const OF_ENGINE = [
  ['csv', 'CSVWithNames'],
  ['parquet', 'Parquet'],
] as const;

/** No moment but those of the data: the same period of the same data version is the same bytes. */
function headJson(definition: ReportDefinition, run: ReportRun): string {
  const head = {
    report: run.report,
    title: definition.title,
    period: { from: formatMoment(run.fromMs), to: formatMoment(run.toMs), tz: run.timeZone },
    parameters: run.parameters,
    data_version: run.dataVersion,
  };
  return JSON.stringify(head).slice(0, -1);
}

async function answerJson({ columns, write }: Answer): Promise<string> {
  const lines = Buffer.from(await write('JSONEachRow'))
    .toString('utf8')
    .trim();
  return `{"columns":${JSON.stringify(columns)},"rows":[${lines.replaceAll('\n', ',')}]}`;
}
