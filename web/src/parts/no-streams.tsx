import { createStreamLine, firstVisitLine } from '../model/example.ts';
import { CopyLine } from './copy-line.tsx';

/** What to do first, on a server without a stream. */
export function NoStreams() {
  const origin = location.href.split('#')[0]!.replace(/\/[^/]*$/, '');
  return (
    <section class="card welcome" aria-labelledby="welcome-title">
      <h2 id="welcome-title">There is no stream yet</h2>
      <p>
        A stream is a kind of event: a page view, a sale, a reading. Set <code>MILLRACE_KEY</code> to your key
        in a shell, then paste these lines. This page shows the event as soon as it is in.
      </p>
      <ol>
        <li>
          <h3>Create a stream</h3>
          <CopyLine text={createStreamLine(origin)} />
        </li>
        <li>
          <h3>Send its first event</h3>
          <CopyLine text={firstVisitLine(origin, new Date().toISOString())} />
        </li>
      </ol>
    </section>
  );
}
