/** One window, from where it stands to where it can stand now: decides steps, publishes them, finishes those left pending. */
import type { TenantId } from '../base/brand.ts';
import type { Clock } from '../base/clock.ts';
import { MillraceError } from '../base/errors.ts';
import { changedSince, rewritesOf } from '../catalog/index.ts';
import { type Catalog, eventsCompleteSince, type Versioned } from '../catalog/port.ts';
import { parseObject } from '../define/index.ts';
import type { StreamDefinition, WindowDefinition } from '../define/model.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Log } from '../log/port.ts';
import { guardExpression } from '../sql/index.ts';
import { dimensionTable, type Engine } from '../store/index.ts';
import type { Watermarks } from '../watermarks/index.ts';
import { slotResultsAgain } from './evaluate-again.ts';
import { reachesOf, SESSION_BOUNDS, type SessionBounds, sessionResults } from './evaluate-sessions.ts';
import { firstSlots, slotResults } from './evaluate-slots.ts';
import { joinedKeys } from './keys.ts';
import { heldToClock, positionOf } from './positions.ts';
import { compactRows, publish, resultsApplied } from './publish.ts';
import { keysStatement } from './session-statements.ts';
import { BOUNDS, type Bounds } from './slot-pages.ts';
import { unitsStatement } from './slot-statements.ts';
import { type Slots, slotsOf } from './slots.ts';
import type { Prepared, ProcessingMarks } from './source.ts';
import {
  addCounts,
  beginAt,
  doneStep,
  NOTHING,
  type PendingStep,
  type Position,
  type Standing,
} from './step.ts';

export interface EvaluatorParts {
  readonly catalog: Pick<Catalog, 'stream' | 'object' | 'state' | 'setting'>;
  readonly watermarks: Pick<Watermarks, 'of'>;
  readonly log: Pick<Log, 'append' | 'state'>;
  readonly ingest: Pick<Ingest, 'state' | 'applied'>;
  readonly engine: Pick<Engine, 'query'>;
  readonly clock: Clock;
  readonly bounds?: Partial<Bounds & { readonly sessions: SessionBounds }>;
  readonly onKeysCut?: (tenant: TenantId, window: string, keys: number) => void;
}

export const AREA = 'windows';
/** The relation that a condition speaks of. */
const RELATION = 'event';
/** How long late events may wait to be looked for. */
const LOOK_EVERY_MS = 1_000;

/** What a try came to: whether there may be more to do at once, else when to look again at the latest. */
export type Outcome =
  | { readonly again: true }
  | { readonly again: false; readonly dueInMs: number | undefined };

export class Evaluator {
  readonly #parts: EvaluatorParts;
  readonly #tenant: TenantId;
  readonly #name: string;
  /** Ahead of what is saved where nothing had to be told meanwhile. */
  #standing: Standing | undefined;
  #saved: Standing | undefined;
  /** Windows without events have closed since: whoever is told so must not hear otherwise after a crash. */
  #mustSave = false;
  #isLoaded = false;
  #hasWaited = false;
  #mayBeRewritten = true;
  #lookedAtMs = Number.NEGATIVE_INFINITY;
  /** There was something to look at, too soon after the last time. */
  #wantsLook = false;
  #where: { readonly text: string | undefined; readonly checked: string | undefined } | undefined;

  constructor(parts: EvaluatorParts, tenant: TenantId, name: string) {
    this.#parts = parts;
    this.#tenant = tenant;
    this.#name = name;
  }

  /** As it is saved: what may be told of it. */
  get standing(): Standing | undefined {
    return this.#saved;
  }

  /** Events of the stream may be others than they were. */
  rewritten(): void {
    this.#mayBeRewritten = true;
  }

  /** What must be saved before anybody is told how far the window has come. */
  get unsaved(): Standing | undefined {
    return this.#mustSave ? this.#standing : undefined;
  }

  /** `standing` is durable now. */
  wasSaved(standing: Standing): void {
    this.#saved = standing;
    if (this.#standing === standing) this.#mustSave = false;
  }

  /** Undefined before its first definition stands. */
  async load(): Promise<Standing | undefined> {
    if (!this.#isLoaded) {
      this.#saved = await this.#parts.catalog.state.get<Standing>(this.#tenant, AREA, [this.#name]);
      this.#standing = this.#saved;
      this.#isLoaded = true;
    }
    return this.#standing;
  }

  /** What was believed may not be what is saved: a failure leaves nobody knowing. */
  forget(): void {
    this.#isLoaded = false;
    this.#hasWaited = false;
    this.#mustSave = false;
    this.#mayBeRewritten = true;
    this.#standing = undefined;
  }

  /** One step at most. `force`: late events are looked for now. */
  async advance(force: boolean): Promise<Outcome> {
    const found = this.#parts.catalog.object(this.#tenant, 'window', this.#name);
    if (!found) return { again: false, dueInMs: undefined };
    const standing = await this.load();
    if (standing?.pending) {
      await this.#carryOut(standing, standing.pending);
      return { again: true };
    }
    const prepared = await this.prepare(found.definition);
    const slots = slotsOf(found.definition);
    const position = positionOf(this.#parts, this.#tenant, prepared.stream, found.definition, slots);
    if (!standing || standing.definition !== found.version) {
      const rewrites = await rewritesOf(this.#parts.catalog, this.#tenant, found.definition.from);
      const last = rewrites.at(-1)?.number ?? 0;
      const begun = beginAt(standing, found.version, position, last, this.#parts.clock.now());
      const isProcessing = found.definition.time === 'processing';
      await this.#save(
        isProcessing ? { ...begun, marks: { timesMs: [0], bounds: [position.applied] } } : begun,
      );
      return { again: true };
    }
    const held = heldToClock(standing, this.#parts.clock.now());
    this.#standing = held;
    const pending =
      (await this.#decideAgain(found, held, force)) ??
      (slots
        ? await this.#decideSlots(prepared, found, slots, held, position, force)
        : await this.#decideSessions(prepared, found, held, position, force));
    if (!pending) return { again: false, dueInMs: this.#dueInMs(found.definition) };
    const pinned = { ...pending, tables: await this.#pins(prepared) };
    const decided = { ...this.#standing, pending: pinned };
    await this.#save(decided);
    await this.#carryOut(decided, pinned);
    return { again: true };
  }

  /** The window with its stream and its checked condition. */
  async prepare(window: WindowDefinition, pins?: PendingStep['tables']): Promise<Prepared> {
    const stream = this.#streamOf(window);
    if (!this.#where || this.#where.text !== window.where) {
      const checked =
        window.where === undefined
          ? undefined
          : await guardExpression(this.#parts.engine, window.where, RELATION);
      this.#where = { text: window.where, checked };
    }
    const results = this.#parts.catalog.stream(this.#tenant, this.#name)?.definition;
    return {
      tenant: this.#tenant,
      stream,
      window,
      where: this.#where.checked,
      results,
      pins,
      tableOf: this.#tableOf,
    };
  }

  readonly #tableOf = (name: string) => this.#parts.catalog.object(this.#tenant, 'table', name)?.definition;

  /** The last change of each table that is a key: a crash may not see another one. */
  async #pins(prepared: Prepared): Promise<PendingStep['tables']> {
    const pins: Record<string, number> = {};
    for (const [, { join }] of joinedKeys(prepared)) {
      const text = `SELECT toString(max(_seq)) FROM ${dimensionTable(this.#tenant, join.table.name)}`;
      const [row] = await compactRows<[string]>(this.#parts.engine, { text }, this.#tenant);
      pins[join.table.name] ??= Number(row?.[0] ?? 0);
    }
    return pins;
  }

  #streamOf(window: WindowDefinition): StreamDefinition {
    const stream = this.#parts.catalog.stream(this.#tenant, window.from)?.definition;
    if (!stream) throw new MillraceError('unknown-stream', `there is no stream "${window.from}"`);
    return stream;
  }

  /** Events were rewritten: what was told is held against them before anything else is told. */
  async #decideAgain(
    found: Versioned<WindowDefinition>,
    standing: Standing,
    force: boolean,
  ): Promise<PendingStep | undefined> {
    if (!this.#mayBeRewritten && !force) return undefined;
    this.#mayBeRewritten = false;
    const { from, time } = found.definition;
    const rewrites = await rewritesOf(this.#parts.catalog, this.#tenant, from);
    const clock = time === 'ingestion' ? 'arrival' : 'event';
    const rewritten = changedSince(rewrites, standing.rewrites, clock);
    // What processing time counted is how it was then.
    if (!rewritten || standing.atMs === null || time === 'processing') return undefined;
    const { atMs, applied, arrivedFromMs } = standing;
    const step = this.#step(found, standing, 'again', { atMs, applied, arrivedFromMs }, standing.marks);
    return { ...step, rewritten };
  }

  async #decideSlots(
    prepared: Prepared,
    found: Versioned<WindowDefinition>,
    slots: Slots,
    standing: Standing,
    position: Position,
    force: boolean,
  ): Promise<PendingStep | undefined> {
    const { engine, clock } = this.#parts;
    const { atMs } = standing;
    const reachesEnd = position.atMs !== null && (atMs === null || slots.at(position.atMs) > slots.at(atMs));
    if (reachesEnd) {
      const marks = this.#marksOf(found.definition, slots, standing, position);
      const pending = this.#step(found, standing, 'close', position, marks);
      const bounds = { ...BOUNDS, ...this.#parts.bounds };
      const asked = {
        ...{ engine, prepared, slots, standing, step: pending, bounds },
        onKeysCut: () => undefined,
      };
      const first = await firstSlots(asked);
      if (first.isWhole) {
        const lateTo = atMs === null ? undefined : slots.start(slots.at(atMs));
        const isEmpty =
          first.isEmpty &&
          (lateTo === undefined ||
            !isBehind(standing, position) ||
            !(await this.#hasEvents(prepared, slots, standing, position, lateTo)));
        if (!isEmpty) return pending;
        this.#pass({ ...standing, ...position, marks });
        return undefined;
      }
      return {
        ...pending,
        // At least one slot further, or it would stand still.
        to: {
          ...position,
          atMs: Math.min(
            position.atMs!,
            slots.start(Math.max(first.lastSlot, atMs === null ? first.lastSlot : slots.at(atMs)) + 1),
          ),
        },
      };
    }
    if (isBehind(standing, position) && this.#mayLook(force)) {
      const isLate =
        atMs !== null &&
        (await this.#hasEvents(prepared, slots, standing, position, slots.start(slots.at(atMs))));
      if (isLate) return this.#step(found, standing, 'close', { ...position, atMs }, standing.marks);
      // Nothing of it was late: that need not be looked at again, nor be saved.
      this.#standing = { ...standing, applied: position.applied, arrivedFromMs: position.arrivedFromMs };
    }
    const { earlyMs } = found.definition;
    const sinceEarly = clock.now() - standing.earlyAtMs;
    // The clock may have been set back.
    if (earlyMs === undefined || (sinceEarly >= 0 && sinceEarly < earlyMs)) return undefined;
    if (!isBehind({ applied: standing.earlyApplied }, position)) return undefined;
    return this.#step(found, standing, 'early', { ...position, atMs: position.atMs ?? atMs }, standing.marks);
  }

  async #decideSessions(
    prepared: Prepared,
    found: Versioned<WindowDefinition>,
    standing: Standing,
    position: Position,
    force: boolean,
  ): Promise<PendingStep | undefined> {
    const { shape } = found.definition;
    if (shape.kind !== 'session' || position.atMs === null) return undefined;
    if (position.atMs === standing.atMs && !isBehind(standing, position)) return undefined;
    if (!this.#mayLook(force)) return undefined;
    const step = this.#step(found, standing, 'close', position, null);
    for (const reach of reachesOf({ standing, step, shape })) {
      const some = await compactRows(
        this.#parts.engine,
        keysStatement(prepared, reach, { after: undefined, limit: 1 }),
        this.#tenant,
      );
      if (some.length > 0) return step;
    }
    this.#pass({ ...standing, ...position });
    return undefined;
  }

  /** Nothing is to be told up to there. What comes for it later is late, after a crash too: that is saved (`unsaved`). */
  #pass(standing: Standing): void {
    this.#mustSave ||= standing.atMs !== this.#standing?.atMs;
    this.#standing = standing;
  }

  #step(
    { document }: Versioned<WindowDefinition>,
    { step }: Standing,
    kind: PendingStep['kind'],
    to: Position,
    marks: ProcessingMarks | null,
  ): PendingStep {
    const { catalog, clock } = this.#parts;
    const completeSinceMs = eventsCompleteSince(catalog, this.#tenant, String(document.from)) ?? null;
    const decidedAtMs = clock.now();
    return { step: step + 1, kind, to, decidedAtMs, document, completeSinceMs, marks, rewritten: null };
  }

  /** In processing time everything that came since the last step belongs to the slot that just ended. */
  #marksOf(
    { time }: WindowDefinition,
    slots: Slots,
    { marks }: Standing,
    position: Position,
  ): ProcessingMarks | null {
    if (time !== 'processing') return null;
    const { timesMs = [], bounds = [] } = marks ?? {};
    const keep = slots.perWindow;
    const all = {
      timesMs: [...timesMs.slice(1), slots.start(slots.at(position.atMs!) - 1)],
      bounds: [...bounds.slice(1), position.applied],
    };
    const base = bounds[0] ?? position.applied;
    const from = Math.max(0, all.timesMs.length - keep);
    return {
      timesMs: [0, ...all.timesMs.slice(from)],
      bounds: [from === 0 ? base : all.bounds[from - 1]!, ...all.bounds.slice(from)],
    };
  }

  async #hasEvents(
    prepared: Prepared,
    slots: Slots,
    standing: Standing,
    position: Position,
    toMs: number,
  ): Promise<boolean> {
    const reach = {
      ...{ until: position.applied, since: standing.applied, arrivedFromMs: standing.arrivedFromMs },
      ...{ toMs, onlyNew: true, marks: standing.marks ?? undefined },
    };
    const asked = unitsStatement(prepared, slots, reach, { after: undefined, limit: 1 });
    return (await compactRows(this.#parts.engine, asked, this.#tenant)).length > 0;
  }

  #mayLook(force: boolean): boolean {
    const nowMs = this.#parts.clock.monotonicMs();
    this.#wantsLook = !force && nowMs - this.#lookedAtMs < LOOK_EVERY_MS;
    if (!this.#wantsLook) this.#lookedAtMs = nowMs;
    return !this.#wantsLook;
  }

  #dueInMs({ time, earlyMs }: WindowDefinition): number | undefined {
    const { clock } = this.#parts;
    const looks = Math.max(1, this.#lookedAtMs + LOOK_EVERY_MS - clock.monotonicMs());
    const sinceEarly = clock.now() - (this.#standing?.earlyAtMs ?? 0);
    const due = [
      ...(this.#wantsLook ? [looks] : []),
      ...(time === 'event' ? [] : [LOOK_EVERY_MS]),
      // The clock may have been set back.
      ...(earlyMs === undefined
        ? []
        : [sinceEarly >= 0 && sinceEarly < earlyMs ? earlyMs - sinceEarly : earlyMs]),
    ];
    return due.length === 0 ? undefined : Math.min(...due);
  }

  /** What was decided is told, whatever stands now. */
  async #carryOut(standing: Standing, pending: PendingStep): Promise<void> {
    const { engine } = this.#parts;
    if (!this.#hasWaited) {
      await resultsApplied(this.#parts, this.#tenant, this.#name);
      this.#hasWaited = true;
    }
    const stream = (name: string) => this.#parts.catalog.stream(this.#tenant, name)?.definition;
    const window = parseObject('window', this.#name, pending.document, {
      ...{ stream, rollup: () => undefined, object: () => undefined },
    });
    const prepared = await this.prepare(window, pending.tables);
    let keysCut = 0;
    const cut = (keys: number): void => {
      keysCut += keys;
    };
    const asked = { ...{ engine, prepared, standing, step: pending } };
    const bounds = { ...BOUNDS, ...this.#parts.bounds };
    const slots = slotsOf(window);
    const ofSlots = { ...asked, slots: slots!, bounds, onKeysCut: cut };
    const results =
      window.shape.kind === 'session'
        ? sessionResults({ ...asked, shape: window.shape, bounds: bounds.sessions ?? SESSION_BOUNDS })
        : pending.kind === 'again'
          ? slotResultsAgain(ofSlots)
          : slotResults(ofSlots);
    let counts = NOTHING;
    for await (const told of results)
      counts = addCounts(counts, await publish(this.#parts, this.#tenant, this.#name, pending, told));
    if (keysCut > 0) this.#parts.onKeysCut?.(this.#tenant, this.#name, keysCut);
    await this.#save(doneStep(standing, { counts, keysCut }));
  }

  async #save(standing: Standing): Promise<void> {
    await this.#parts.catalog.state.write(this.#tenant, [{ area: AREA, key: [this.#name], value: standing }]);
    this.#standing = standing;
    this.#isLoaded = true;
    this.wasSaved(standing);
  }
}

const isBehind = ({ applied }: Pick<Position, 'applied'>, position: Position): boolean =>
  position.applied.some((offset, partition) => offset > (applied[partition] ?? 0));
