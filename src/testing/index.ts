/** `millrace/testing`: a user's own project under a clock that the test moves. */
export type { CrashPoint } from './crash-points.ts';
export type { AnyDefinition, ProjectUnderTest } from './documents.ts';
export { repeated, shuffled, straggling } from './events.ts';
export type { Delivery, Mail, Webhook } from './outside.ts';
export { type TestProject, type TestProjectOptions, testProject } from './project.ts';
export type { Firing, ReportRun, WindowResult } from './results.ts';
export type { TestTable } from './table.ts';
