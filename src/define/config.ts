import type { ObjectDefinition, RollupDefinition, StreamDefinition } from './model.ts';

export type SettingValue = string | number | boolean;

/** What `millrace.config.ts` may export as its default. */
export interface ProjectConfig {
  readonly kind: 'config';
  readonly settings: Readonly<Record<`MILLRACE_${string}`, SettingValue>>;
  readonly definitions: readonly (StreamDefinition | RollupDefinition | ObjectDefinition)[];
}

/**
 * Settings and definitions of a project in one value.
 *
 * @example
 * export default defineConfig({ settings: { MILLRACE_PORT: 7071 }, definitions: [detections, itemsByLocation] });
 */
export function defineConfig(config: {
  readonly settings?: ProjectConfig['settings'];
  readonly definitions?: ProjectConfig['definitions'];
}): ProjectConfig {
  return { kind: 'config', settings: config.settings ?? {}, definitions: config.definitions ?? [] };
}
