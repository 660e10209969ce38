import type { StreamDefinition } from '../define/index.ts';
import type { MillraceClient } from './client.ts';
import type { LiveOptions } from './live.ts';
import type {
  Accepted,
  CountQuestion,
  EventsPage,
  EventsQuestion,
  Integer,
  LiveMessage,
  ManyOptions,
  RowOf,
  SendOptions,
  StatsAnswer,
  StatsQuestion,
} from './types.ts';

/** A client of one stream, typed by its definition; events are identified as the definition says. */
export class StreamClient<Event extends object> {
  readonly #client: MillraceClient;
  readonly #stream: string;
  readonly #idField: string | undefined;

  constructor(client: MillraceClient, definition: StreamDefinition) {
    this.#client = client;
    this.#stream = definition.name;
    this.#idField = definition.eventId;
  }

  countEvent(event: Event, options: SendOptions = {}): Promise<Accepted> {
    return this.#client.countEvent(this.#stream, event, { idField: this.#idField, ...options });
  }

  processEvent(event: Event, options: SendOptions = {}): Promise<Accepted> {
    return this.#client.processEvent(this.#stream, event, { idField: this.#idField, ...options });
  }

  processEvents(
    events: Iterable<Event> | AsyncIterable<Event>,
    options: ManyOptions = {},
  ): Promise<Accepted> {
    return this.#client.processEvents(this.#stream, events, { idField: this.#idField, ...options });
  }

  getCount(question: CountQuestion = {}): Promise<Integer> {
    return this.#client.getCount(this.#stream, question);
  }

  getStats<const Q extends StatsQuestion = { fn: 'count' }>(question?: Q): Promise<StatsAnswer<RowOf<Q>>> {
    return this.#client.getStats<Q>(this.#stream, question);
  }

  events(question: EventsQuestion = {}): Promise<EventsPage> {
    return this.#client.events(this.#stream, question);
  }

  live(options: LiveOptions = {}): AsyncGenerator<LiveMessage> {
    return this.#client.live(this.#stream, options);
  }
}
