/** What `import … from 'millrace'` gives: definitions. It runs in a browser too. */
export { defineConfig, type ProjectConfig, type SettingValue } from './config.ts';
export {
  type FieldDocument,
  fieldDocument,
  measureDocument,
  type RollupDocument,
  rollupDocument,
  type StreamDocument,
  streamDocument,
} from './document.ts';
export { avg, count, formatMeasure, max, min, parseMeasure, quantile, sum, top, unique } from './measures.ts';
export { badDefinition } from './mistakes.ts';
export type {
  Field,
  FieldType,
  LatePolicy,
  Measure,
  ResultOf,
  RollupDefinition,
  StreamDefinition,
} from './model.ts';
export { defineWindow, type WindowSpec } from './objects/define-window.ts';
export {
  type DefinitionKind,
  isObjectKind,
  type Known,
  OBJECT_KIND_NAMES,
  OBJECT_KINDS,
  type ObjectDefinition,
  type ObjectKind,
  type ObjectKinds,
  objectToDocument,
  parseObject,
  type Reference,
  referencesOf,
} from './objects/kinds.ts';
export {
  defineReport,
  type ReportDefinition,
  type ReportQuestion,
  type ReportSpec,
} from './objects/report.ts';
export { resultFields } from './objects/window.ts';
export { parseRollup } from './parse-rollup.ts';
export { parseStream } from './parse-stream.ts';
export {
  DEFINITION_KINDS,
  emptyProject,
  type KindPlural,
  type ProjectDocuments,
  pluralOf,
} from './project.ts';
export { defineRollup, type MeasureOf, type RollupSpec } from './rollup.ts';
export { type Duration, defineStream, type EventOf, type Stream, type StreamSpec } from './stream.ts';
export { defineTable, type TableSpec } from './table.ts';
export { toDocument } from './to-document.ts';
export { defineTrigger, type TriggerDo, type TriggerSpec, type TriggerWhen } from './trigger.ts';
export { type DecimalInput, type FieldSpec, type Integer64, type TimestampInput, t } from './types.ts';
