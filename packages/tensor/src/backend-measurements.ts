/**
 * Figures of the backends on this machine: measured one after the other in processes of their own, and kept in
 * a small file that holds only for this processor, this Node and these versions of the backends.
 *
 * A file that is missing, damaged or of another machine counts as none; one that cannot be written is no error.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { excerpt } from '@nestrec/errors';
import { startableBeside, writeFileAtomic } from '@nestrec/runtime';
import { z } from 'zod';
import { BACKENDS, cureOf, findBackend, type BackendName } from './backend-list.js';
import { PROBE } from './backend-probe.js';

const figuresSchema = z.object({ stepMs: z.number().positive(), gflops: z.number().positive() });
const measurementSchema = z.object({
  name: z.enum(BACKENDS),
  /** Null where it cannot be used here. */
  figures: figuresSchema.nullable(),
  /** Why it cannot be used; null where it can. */
  reason: z.string().nullable(),
  /** The command that would bring it; null where none would, or it is there. */
  cure: z.string().nullable(),
});
const fileSchema = z.object({ key: z.string(), measurements: z.array(measurementSchema) });
const answerSchema = z.union([figuresSchema, z.object({ reason: z.string() })]);

export type BackendMeasurement = z.infer<typeof measurementSchema>;

const FILE = 'backends.json';
/** Loading TensorFlow takes a second, on a busy machine several. */
const LONGEST_MS = 60_000;
const child = startableBeside(import.meta.url, 'backend-probe-child');

interface ChildFailure {
  readonly signal?: string | null;
  readonly killed?: boolean;
  readonly stderr?: string;
}

const lastLine = (text: string) => text.trim().split('\n').at(-1)!;

/** First line of what went wrong, without a stack. */
export function causeOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return excerpt(text.split('\n', 1)[0]!.trim());
}

async function askChild(name: BackendName): Promise<z.infer<typeof answerSchema>> {
  const args = [...(child.execArgv ?? []), fileURLToPath(child.file), name];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      timeout: LONGEST_MS,
      killSignal: 'SIGKILL',
    });
    return answerSchema.parse(JSON.parse(lastLine(stdout)));
  } catch (error) {
    const { signal, killed, stderr } = error as ChildFailure;
    if (killed === true) return { reason: `its probe took over ${LONGEST_MS / 1_000} s` };
    if (signal) return { reason: `its probe ended with ${signal}` };
    return { reason: `its probe failed: ${excerpt(lastLine(stderr ?? '')) || causeOf(error)}` };
  }
}

/** Loads and measures one backend in a process of its own. */
export async function measureBackend(name: BackendName): Promise<BackendMeasurement> {
  const found = findBackend(name);
  if ('reason' in found) return { name, figures: null, ...found };
  const answer = await askChild(name);
  if ('reason' in answer) {
    return { name, figures: null, reason: answer.reason, cure: cureOf(name) };
  }
  return { name, figures: answer, reason: null, cure: null };
}

/** Stands for all that the figures depend on, as far as it can be seen without measuring. */
function machineKey(): string {
  const [processor] = cpus();
  const parts = {
    probe: PROBE,
    processor: processor?.model ?? process.arch,
    cores: availableParallelism(),
    node: process.version,
    backends: BACKENDS.map((name) => [name, findBackend(name)]),
  };
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The figures kept in `folder`; null where there are none that hold for this machine. */
export async function readMeasurements(folder: string): Promise<BackendMeasurement[] | null> {
  try {
    const kept = fileSchema.parse(JSON.parse(await readFile(join(folder, FILE), 'utf8')));
    return kept.key === machineKey() ? kept.measurements : null;
  } catch {
    return null;
  }
}

/** Measures these backends, one after the other, and keeps the figures in `folder` where one is given. */
export async function measureBackends(
  names: readonly BackendName[],
  folder: string | undefined,
): Promise<BackendMeasurement[]> {
  const measurements: BackendMeasurement[] = [];
  for (const name of names) measurements.push(await measureBackend(name));
  if (folder !== undefined) {
    const text = `${JSON.stringify({ key: machineKey(), measurements }, null, 2)}\n`;
    await writeFileAtomic(join(folder, FILE), text).catch(() => {});
  }
  return measurements;
}
