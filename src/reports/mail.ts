/** A finished run as a message: the page as its body, the tables as files beside it as far as they fit. */

import type { ReportDefinition } from '../define/model.ts';
import type { EmailMessage } from '../deliver/port.ts';
import { formatMoment } from '../stats/index.ts';
import type { ReportRun, ResultFile } from './port.ts';

/** Servers refuse messages of more than 10 to 25 MB; base64 adds a third. */
export const ATTACHED_BYTES_MAX = 5 * 2 ** 20;
const BODY_BYTES_MAX = 2 ** 20;

/** Undefined: nobody is to be written to. */
export async function mailOf(
  { email, title, name }: ReportDefinition,
  run: ReportRun,
  read: (file: ResultFile) => Promise<Uint8Array>,
): Promise<EmailMessage | undefined> {
  if (email === undefined) return undefined;
  const period = `${formatMoment(run.fromMs)} to ${formatMoment(run.toMs)}`;
  const page = run.files.find(({ format }) => format === 'html');
  const html =
    page !== undefined && page.bytes <= BODY_BYTES_MAX
      ? Buffer.from(await read(page)).toString('utf8')
      : undefined;
  let bytes = 0;
  const attached: ResultFile[] = [];
  const left: ResultFile[] = [];
  for (const file of run.files.filter(({ format }) => format === 'csv')) {
    const fits = bytes + file.bytes <= ATTACHED_BYTES_MAX;
    if (fits) bytes += file.bytes;
    (fits ? attached : left).push(file);
  }
  const words = [
    `${title}: ${period} (${run.timeZone}), run ${run.id}.`,
    ...(left.length === 0
      ? []
      : [`Too large to be sent, to be downloaded: ${left.map((file) => file.name).join(', ')}.`]),
  ];
  return {
    id: `report/${name}/${run.id}`,
    kind: 'email',
    to: email.to,
    subject: email.subject ?? `${title}, ${period}`,
    text: `${words.join('\n')}\n`,
    ...(html === undefined ? {} : { html }),
    attachments: attached.map((file) => ({
      name: `${name}-${file.name}`,
      type: 'text/csv',
      reference: JSON.stringify(['report', name, run.id, file.name]),
    })),
  };
}

/** Report, run and file that an attachment refers to. */
export function referenceOf(
  reference: string,
): readonly [report: string, id: string, file: string] | undefined {
  const [kind, report, id, file] = JSON.parse(reference) as readonly string[];
  if (kind !== 'report' || report === undefined || id === undefined || file === undefined) return undefined;
  return [report, id, file];
}
