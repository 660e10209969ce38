/** The server, built as it is, with some of its ports changed: says where it listens, and ends in order at SIGTERM. */
import { built } from '../../bin/built.cjs';

const { readEnvironment, readSettings } = await import(built('config'));
const { startMillrace } = await import(built('millrace'));

/** The engine, but for how statements are executed. */
export const executing = (execute) => (engine) => ({
  execute: (statement) => execute(engine, statement),
  query: engine.query.bind(engine),
  rows: engine.rows.bind(engine),
  stream: engine.stream.bind(engine),
  close: engine.close.bind(engine),
});

export async function serve(changes) {
  const millrace = await startMillrace({
    settings: readSettings(readEnvironment()),
    documents: { streams: {}, rollups: {} },
    ...changes,
  });
  process.stdout.write(`ready at ${millrace.url}\n`);
  process.once('SIGTERM', async () => {
    await millrace.close();
    process.exit(0);
  });
}
