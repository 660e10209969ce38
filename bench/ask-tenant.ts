/**
 * The questions of one tenant, a process of its own: takes an `AskTenantJob` as JSON, and prints one line of JSON
 * (`AskTenantReport`) when the last of them is answered.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type AskTenantJob, type AskTenantReport, pathsOf } from './ask-tenant-job.ts';
import { Asker } from './asker.ts';

const { server, tenant, question, pace, seconds } = JSON.parse(process.argv[2] ?? '') as AskTenantJob;
const asker = new Asker(server, { tenant, path: pathsOf(question) });
if ('atATime' in pace) asker.atATime(pace.atATime, 0);
else asker.atRate(pace.perSecond, 0);
await sleep(seconds * 1_000);
await asker.stop();
const report: AskTenantReport = { answered: asker.answered, refused: asker.refused };
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
