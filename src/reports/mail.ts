/** A finished run as a message: the page as its body, the tables as files beside it as far as they fit. */
import type { ReportDefinition } from '../define/model.ts';
import { formatMoment } from '../stats/index.ts';
import type { ReportMail, ReportRun, ResultFile } from './port.ts';

/** Servers refuse messages of more than 10 to 25 MB; base64 adds a third. */
export const ATTACHED_BYTES_MAX = 5 * 2 ** 20;
const BODY_BYTES_MAX = 2 ** 20;

export async function mailOf(
  { email, title, name }: ReportDefinition,
  run: ReportRun,
  read: (file: ResultFile) => Promise<Uint8Array>,
): Promise<ReportMail | undefined> {
  if (email === undefined) return undefined;
  const period = `${formatMoment(run.fromMs)} to ${formatMoment(run.toMs)}`;
  const page = run.files.find(({ format }) => format === 'html');
  const html =
    page !== undefined && page.bytes <= BODY_BYTES_MAX
      ? Buffer.from(await read(page)).toString('utf8')
      : undefined;
  const attachments: NonNullable<ReportMail['attachments']>[number][] = [];
  const left: string[] = [];
  let bytes = 0;
  for (const file of run.files.filter(({ format }) => format === 'csv')) {
    if (bytes + file.bytes > ATTACHED_BYTES_MAX) {
      left.push(file.name);
      continue;
    }
    bytes += file.bytes;
    const content = Buffer.from(await read(file)).toString('base64');
    attachments.push({ name: `${name}-${file.name}`, type: 'text/csv', bytes: content });
  }
  const words = [
    `${title}: ${period} (${run.timeZone}), run ${run.id}.`,
    ...(left.length === 0 ? [] : [`Too large to be sent, to be downloaded: ${left.join(', ')}.`]),
  ];
  return {
    id: `report/${name}/${run.id}`,
    kind: 'email',
    to: email.to,
    subject: email.subject ?? `${title}, ${period}`,
    text: `${words.join('\n')}\n`,
    ...(html === undefined ? {} : { html }),
    attachments,
  };
}
