/** Triggers: what they see, what fires, and how they are silenced. */
import type { TenantId } from '../base/brand.ts';
import type { Group } from './groups.ts';

/** What runs reports because something fired. */
export interface ReportRequests {
  /** Durable when it resolves; a second request of the same id changes nothing. */
  request(
    tenant: TenantId,
    report: string,
    request: { readonly reason: string; readonly atMs: number; readonly id: string },
  ): Promise<unknown>;
}

export interface GroupView {
  readonly group: Group;
  readonly phase: 'inactive' | 'pending' | 'firing';
  readonly sinceMs: number;
  /** The newest observation: of which moment, and the number; null: there was none. */
  readonly atMs: number;
  readonly value: number | null;
  readonly firingId: string | undefined;
  /** It does not fire before: because it has fired, or by hand. */
  readonly mutedUntilMs: number | undefined;
}

export interface TriggerView {
  /** The newest moment that was looked at; undefined before the first. */
  readonly atMs: number | undefined;
  /** All of it is muted by hand until then. */
  readonly mutedUntilMs: number | undefined;
  readonly pending: number;
  readonly firing: number;
  /** Observations of groups that were not looked at, because more groups were watched than may be. */
  readonly ignored: number;
  /** Why the last evaluation failed; it is tried again. */
  readonly error: string | undefined;
  /** Those that fire first, then those that are about to; at most as many as were asked for. */
  readonly groups: readonly GroupView[];
}

export interface MuteRequest {
  /** Epoch ms; one that is past ends the mute. */
  readonly untilMs: number;
  /** By field; absent: all groups. */
  readonly group?: Readonly<Record<string, unknown>> | undefined;
}

export interface TestedFiring {
  readonly group: Group;
  readonly sinceMs: number;
  readonly firedAtMs: number;
  /** Undefined: it would fire still. */
  readonly resolvedAtMs: number | undefined;
  readonly value: number | null;
}

export interface TestAnswer {
  /** Observations that were gone through. */
  readonly observations: number;
  /** In the order in which they would have fired; at most 10 000. */
  readonly firings: readonly TestedFiring[];
  readonly isCut: boolean;
}

export interface TriggerFigures {
  readonly evaluations: number;
  readonly failures: number;
  /** Firings and resolutions. */
  readonly told: number;
  /** Groups that fire now, and that are about to, of each trigger. */
  readonly groups: readonly {
    readonly tenant: TenantId;
    readonly trigger: string;
    readonly firing: number;
    readonly pending: number;
  }[];
}

export interface Triggers {
  /** Fails with `unknown-trigger`. */
  view(tenant: TenantId, name: string, limit?: number): Promise<TriggerView>;
  /** Durable when it resolves. Fails with `unknown-trigger`, `bad-request`, or `limit-exceeded`. */
  mute(tenant: TenantId, name: string, request: MuteRequest): Promise<TriggerView>;
  /**
   * What would have fired, by what is stored now; nothing is told. Fails with `unknown-trigger`, or `bad-request` when the
   * range holds too much.
   */
  test(
    tenant: TenantId,
    name: string,
    range: { readonly fromMs: number; readonly toMs: number },
    signal?: AbortSignal,
  ): Promise<TestAnswer>;
  /** Of the triggers that were evaluated since the start of the process. */
  figures(): TriggerFigures;
}
