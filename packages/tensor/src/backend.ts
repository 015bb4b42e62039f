/**
 * Chooses the TensorFlow.js backend: the only place that does. Where more than one could be the fastest, a short
 * measured probe decides, and is remembered in the folder that the caller gives; without a folder, the order of
 * the list does. Reads no environment; the caller passes what its settings force.
 */
import { BackendUnavailable, excerpt } from '@nestrec/errors';
import {
  BACKENDS,
  cureOf,
  findBackend,
  isBackendName,
  LAST_RESORT,
  loadBackend,
  type BackendName,
} from './backend-list.js';
import {
  causeOf,
  measureBackends,
  readMeasurements,
  type BackendMeasurement,
} from './backend-measurements.js';

export interface BackendReport {
  readonly name: BackendName;
  /** Why this one. */
  readonly reason: string;
  /** What would be faster here, and how to get it; null where nothing would. */
  readonly faster: string | null;
  /** All of it in one line, for the log. */
  readonly line: string;
}

export interface BackendOptions {
  /** Take this one or fail. */
  readonly force?: BackendName | undefined;
  /** Where figures of the backends are kept. Absent: nothing is measured, the order of `BACKENDS` decides. */
  readonly cacheFolder?: string | undefined;
}

const isMissing = (name: BackendName) => 'reason' in findBackend(name);

/** What stands before `name` in the order, is missing, and could be had on this machine. */
function fasterThan(name: BackendName): string | null {
  const missing = BACKENDS.slice(0, BACKENDS.indexOf(name)).filter(
    (other) => isMissing(other) && cureOf(other) !== null,
  );
  return missing.length === 0
    ? null
    : missing.map((other) => `${other} (${cureOf(other)})`).join(', or ');
}

function report(name: BackendName, reason: string): BackendReport {
  const faster = fasterThan(name);
  const hint = faster === null ? '' : `; faster would be ${faster}`;
  return { name, reason, faster, line: `backend ${name}: ${reason}${hint}` };
}

interface Candidates {
  readonly names: readonly BackendName[];
  readonly reason: string;
}

/** In the order of the list: what is missing is left out. */
function candidatesByOrder(): Candidates {
  const missing = BACKENDS.filter(isMissing);
  const names = BACKENDS.filter((name) => !missing.includes(name));
  const reason =
    missing.length === 0
      ? 'the first of all'
      : `the first that is there (not ${missing.join(', ')})`;
  return { names, reason };
}

type Measured = BackendMeasurement & { figures: NonNullable<BackendMeasurement['figures']> };

/** In the order of their measured steps; the last resort stays last. */
async function candidatesByMeasure(cacheFolder: string): Promise<Candidates> {
  const byOrder = candidatesByOrder();
  const contenders = byOrder.names.filter((name) => name !== LAST_RESORT);
  if (contenders.length < 2) return byOrder;
  const kept = await readMeasurements(cacheFolder);
  const complete = contenders.every((name) => kept?.some((one) => one.name === name));
  const all = complete ? kept! : await measureBackends(contenders, cacheFolder);
  const measured = all
    .filter((one): one is Measured => one.figures !== null && contenders.includes(one.name))
    .sort((a, b) => a.figures.stepMs - b.figures.stepMs);
  const figures = measured.map(({ name, figures }) => `${name} ${figures.stepMs.toFixed(1)} ms`);
  const failed = all
    .filter(({ name, figures }) => figures === null && contenders.includes(name))
    .map(({ name, reason }) => `; ${name} is left out: ${reason}`);
  // Where no probe got through, something else is wrong than the backends.
  if (measured.length === 0) {
    return { names: byOrder.names, reason: `${byOrder.reason}${failed.join('')}` };
  }
  return {
    names: [...measured.map(({ name }) => name), LAST_RESORT],
    reason: `the fastest step here (${figures.join(', ')})${failed.join('')}`,
  };
}

/**
 * Activates the fastest backend that loads, or the forced one.
 *
 * @throws BackendUnavailable when the forced one, or none, loads.
 */
export async function selectBackend(options: BackendOptions = {}): Promise<BackendReport> {
  if (options.force !== undefined) return forced(options.force);
  const { names, reason } =
    options.cacheFolder === undefined
      ? candidatesByOrder()
      : await candidatesByMeasure(options.cacheFolder);
  const failures: string[] = [];
  for (const name of names) {
    try {
      await loadBackend(name);
    } catch (error) {
      failures.push(`${name} does not load: ${causeOf(error)}`);
      continue;
    }
    return report(name, [reason, ...failures].join('; '));
  }
  throw new BackendUnavailable({
    detail: `none of ${BACKENDS.join(', ')} loads (${failures.join('; ')}); run npm ci.`,
  });
}

async function forced(name: string): Promise<BackendReport> {
  if (!isBackendName(name)) {
    throw new BackendUnavailable({
      detail: `got ${excerpt(name)}; wanted one of ${BACKENDS.join(', ')}.`,
    });
  }
  try {
    await loadBackend(name);
  } catch (error) {
    const cure = cureOf(name);
    const help = cure === null ? '' : `run ${cure}, or `;
    throw new BackendUnavailable({
      detail: `${name} was forced and does not load: ${causeOf(error)}. To cure it ${help}unset NESTREC_BACKEND to take the fastest that loads.`,
      cause: error,
    });
  }
  return report(name, 'forced by the settings');
}

/** Measures every backend anew, for people to read, and keeps the figures in `cacheFolder`. */
export function surveyBackends(cacheFolder?: string): Promise<BackendMeasurement[]> {
  return measureBackends(BACKENDS, cacheFolder);
}
