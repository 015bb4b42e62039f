/**
 * A run's state as one safetensors file, written whole or not at all, a tensor at a time in both directions: nothing of
 * it is ever copied as a whole.
 *
 * The file carries a fingerprint of everything that decides the result (settings, model, seed, data):
 * a checkpoint of another run is never continued by mistake.
 */
import { open, rm, type FileHandle } from 'node:fs/promises';
import { z } from 'zod';
import type { NamedArray, NamedArrays } from '@nestrec/contracts';
import { InvalidInput } from '@nestrec/errors';
import { writeFileAtomic } from '@nestrec/runtime';
import { readSafetensors, safetensorsParts, type ByteSource } from '@nestrec/tensor-files';
import { hashArrays } from './hash-bytes.js';
import type { RunState } from './run-state.js';

const FORMAT = 'nestrec-training-checkpoint-1';

const headSchema = z.strictObject({
  step: z.number().int().min(0),
  epoch: z.number().int().min(1),
  batchInEpoch: z.number().int().min(0),
  lossSum: z.number(),
  labelSum: z.number(),
  stopping: z.strictObject({
    best: z.number(),
    bestEpoch: z.number().int(),
    waited: z.number().int(),
  }),
  epochs: z.array(
    z.strictObject({
      epoch: z.number().int(),
      step: z.number().int(),
      loss: z.number(),
      primary: z.number().nullable(),
      bySize: z.record(z.string(), z.number()),
      lambdaMax: z.number(),
    }),
  ),
});

const GROUPS = ['parameters', 'best', 'optimizer'] as const;

/** The state as bytes, part by part; `fingerprint` names the run that it belongs to. */
export function encodeCheckpoint(state: RunState, fingerprint: string): Iterable<Uint8Array> {
  const arrays = new Map<string, NamedArray>();
  for (const group of GROUPS) {
    for (const [name, array] of state[group] ?? []) arrays.set(`${group}/${name}`, array);
  }
  const { step, epoch, batchInEpoch, lossSum, labelSum, stopping, epochs } = state;
  const head = { step, epoch, batchInEpoch, lossSum, labelSum, stopping, epochs };
  return safetensorsParts(arrays, {
    format: FORMAT,
    fingerprint,
    head: JSON.stringify(head),
    arraysSha256: hashArrays(arrays),
  });
}

/**
 * @throws InvalidInput when the bytes are no checkpoint, are damaged, or belong to another run.
 */
export async function decodeCheckpoint(source: ByteSource, fingerprint: string): Promise<RunState> {
  const { arrays, metadata } = await readSafetensors(source);
  if (metadata['format'] !== FORMAT) {
    throw new InvalidInput({ detail: `not a training checkpoint of this version (${FORMAT})` });
  }
  if (metadata['fingerprint'] !== fingerprint) {
    throw new InvalidInput({
      detail:
        'the checkpoint belongs to a run with other settings, another seed or other data: ' +
        'repeat that run, or remove the checkpoint to start anew',
    });
  }
  if (metadata['arraysSha256'] !== hashArrays(arrays)) {
    throw new InvalidInput({ detail: 'the checkpoint is damaged (SHA-256 differs): remove it' });
  }
  const group = (name: (typeof GROUPS)[number]): NamedArrays => {
    const prefix = `${name}/`;
    const entries = [...arrays].filter(([key]) => key.startsWith(prefix));
    return new Map(entries.map(([key, array]) => [key.slice(prefix.length), array]));
  };
  const best = group('best');
  return {
    ...headSchema.parse(JSON.parse(metadata['head'] ?? 'null')),
    parameters: group('parameters'),
    best: best.size > 0 ? best : null,
    optimizer: group('optimizer'),
  };
}

/** Writes the state to `path` in one step (temporary file, fsync, rename). */
export async function saveCheckpoint(
  path: string,
  state: RunState,
  fingerprint: string,
): Promise<void> {
  await writeFileAtomic(path, encodeCheckpoint(state, fingerprint));
}

/** The state at `path`, or null when there is no such file. */
export async function loadCheckpoint(path: string, fingerprint: string): Promise<RunState | null> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return await decodeCheckpoint(await sourceOf(file), fingerprint);
  } finally {
    await file.close();
  }
}

async function sourceOf(file: FileHandle): Promise<ByteSource> {
  const { size } = await file.stat();
  return {
    size,
    async read(into, position) {
      for (let done = 0; done < into.length;) {
        const { bytesRead } = await file.read(into, done, into.length - done, position + done);
        if (bytesRead === 0) throw new InvalidInput({ detail: 'the checkpoint is cut off' });
        done += bytesRead;
      }
    },
  };
}

/** Removes a checkpoint that has served its purpose. */
export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
}
