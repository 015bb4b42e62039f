/**
 * Measures every backend of this machine: a product of 1,024 x 1,024 and a small training step, one after the
 * other in processes of their own, and says which one a training would take.
 *
 * Run: npm run bench:backends -- [--json]
 *
 * It is the table of `nestrec doctor`, without its other checks. Ratios hold within one run only.
 */
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { backendTable } from '@nestrec/cli';
import { selectBackend, surveyBackends } from '@nestrec/tensor';

const { values: flags } = parseArgs({ options: { json: { type: 'boolean', default: false } } });
const cacheFolder = fileURLToPath(new URL('../../.cache/', import.meta.url));
const backends = await surveyBackends(cacheFolder);
const { name, line } = await selectBackend({ cacheFolder });
const machine = `${cpus().length} x ${cpus()[0]?.model ?? process.arch}, Node ${process.versions.node}`;
process.stdout.write(
  flags.json
    ? `${JSON.stringify({ machine, chosen: name, backends })}\n`
    : `${machine}\n${backendTable(backends, name)}\n${line}\n`,
);
