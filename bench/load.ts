/**
 * The load generator, a process of its own:
 *
 *   node dist/bench/load.js --url=http://127.0.0.1:7070 --key=KEY --mode=batch --batch=100 --event-bytes=1024 \
 *     --connections=32 --rate=50000 --seconds=10
 *
 * Prints one line of JSON (`LoadReport`) when it is done.
 */
import { drive } from './drive.ts';
import { readLoadOptions } from './load-options.ts';

const report = await drive(readLoadOptions(process.argv.slice(2)));
process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
