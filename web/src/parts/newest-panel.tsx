import { useState } from 'preact/hooks';
import type { Api } from '../api/client.ts';
import type { NewestEvent } from '../api/newest.ts';
import { isNumeric } from '../model/fields.ts';
import { formatTime, formatValue, readTime } from '../model/format.ts';
import type { StreamField, StreamInfo } from '../model/stream.ts';
import { useNewest } from '../state/use-newest.ts';

const FIELDS_MAX = 12;

interface NewestPanelProps {
  readonly api: Api;
  readonly stream: StreamInfo;
  readonly epoch: number;
}

export function NewestPanel({ api, stream, epoch }: NewestPanelProps) {
  const [paused, setPaused] = useState(false);
  const events = useNewest(api, stream.name, epoch, paused);
  const fields = stream.fields.filter(({ name }) => name !== stream.eventTime).slice(0, FIELDS_MAX);
  return (
    <section class="card newest-panel" aria-labelledby="newest-title">
      <div class="panel-head">
        <h2 id="newest-title">
          Newest events <span class="muted">{stream.name}</span>
        </h2>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          {paused ? 'Paused' : 'Pause'}
        </button>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable with the keyboard. */}
      <section class="scroller" aria-label="Table of the newest events" tabIndex={0}>
        <table class="newest">
          <thead>
            <tr>
              <th scope="col">Event time (UTC)</th>
              {fields.map((field) => (
                <th key={field.name} scope="col" class={isNumeric(field.kind) ? 'number' : ''}>
                  {field.name}
                </th>
              ))}
              <th scope="col">Arrived (UTC)</th>
            </tr>
          </thead>
          <tbody>
            {(events ?? []).map((event) => (
              <EventRow key={event.id} event={event} fields={fields} />
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}

interface EventRowProps {
  readonly event: NewestEvent;
  readonly fields: readonly StreamField[];
}

function EventRow({ event, fields }: EventRowProps) {
  return (
    <tr>
      <td>{formatTime(event.time)}</td>
      {fields.map((field) => {
        const raw = event.fields[field.name];
        const value =
          field.kind === 'timestamp' && raw != null ? formatTime(readTime(raw)) : formatValue(raw);
        return (
          <td key={field.name} class={isNumeric(field.kind) ? 'number' : 'text'} title={value}>
            {value}
          </td>
        );
      })}
      <td>{formatTime(event.received)}</td>
    </tr>
  );
}
