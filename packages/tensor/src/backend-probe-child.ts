/**
 * A process that loads one backend, measures it, and prints what it found as one line of JSON.
 *
 *   node backend-probe-child.js BACKEND
 *
 * A process of its own, so that a backend that loses, hangs or crashes leaves nothing behind in ours.
 */
import { isBackendName, loadBackend } from './backend-list.js';
import { probeActiveBackend } from './backend-probe.js';

const name = process.argv[2] ?? '';

async function probe(): Promise<object> {
  try {
    if (!isBackendName(name)) throw new Error(`there is no backend ${name}`);
    await loadBackend(name);
    return probeActiveBackend();
  } catch (error) {
    return { reason: error instanceof Error ? error.message : String(error) };
  }
}

process.stdout.write(`\n${JSON.stringify(await probe())}\n`);
