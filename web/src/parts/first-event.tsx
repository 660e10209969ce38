import { firstEventLine } from '../model/example.ts';
import type { StreamInfo } from '../model/stream.ts';
import { CopyLine } from './copy-line.tsx';

export function FirstEvent({ stream }: { readonly stream: StreamInfo }) {
  const origin = location.href.split('#')[0]!.replace(/\/[^/]*$/, '');
  return (
    <section class="card welcome" aria-labelledby="first-title">
      <h2 id="first-title">{stream.name} waits for its first event</h2>
      <p>
        Set <code>MILLRACE_KEY</code> to your key in a shell, then paste this line.
      </p>
      <CopyLine text={firstEventLine(origin, stream, new Date().toISOString())} />
    </section>
  );
}
