/** The thread behind `load-aside.ts`: loads, checks, and hands over what was asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import type { NamedArrays } from '@nestrec/contracts';
import { NestrecError } from '@nestrec/errors';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import type { Artifact } from './artifact.js';
import type { LoadAnswer, LoadRequest } from './load-aside.js';
import { loadArtifact } from './read-artifact.js';

interface Message {
  readonly answer: LoadAnswer;
  /** Buffers that change hands: nothing is copied. */
  readonly moved: readonly ArrayBuffer[];
}

const { path, what } = workerData as LoadRequest;

async function load(): Promise<Message> {
  try {
    const artifact = await loadArtifact(path);
    return what === 'whole' ? whole(artifact) : serving(artifact);
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    const { code, detail = error.message } = error;
    return { answer: { refusal: { code, detail } }, moved: [] };
  }
}

function whole({ encoder, ...artifact }: Artifact): Message {
  const arrays = encoder?.toArrays() ?? null;
  const { parameters, features } = artifact;
  // Tensors of one file are views of one buffer, which moves once.
  const moved = new Set([
    ...[...parameters.values(), ...(arrays?.values() ?? [])].map(({ data }) => data.buffer),
    features.buffer,
  ]) as Set<ArrayBuffer>;
  return { answer: { whole: { ...artifact, encoder: arrays } }, moved: [...moved] };
}

/** In copies: R lies in the same buffer as the others. */
function serving({ manifest, parameters }: Artifact): Message {
  const kept = [...parameters].filter(([name]) => name !== ITEM_RESIDUAL);
  const copies: NamedArrays = new Map(
    kept.map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
  );
  const moved = [...copies.values()].map(({ data }) => data.buffer as ArrayBuffer);
  return { answer: { serving: { manifest, parameters: copies } }, moved };
}

const { answer, moved } = await load();
parentPort!.postMessage(answer, [...moved]);
