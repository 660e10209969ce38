export { REPORT_STYLE } from './html.ts';
export type { ReportsParts } from './parts.ts';
export * from './port.ts';
export { createReports, type RunningReports } from './reports.ts';
