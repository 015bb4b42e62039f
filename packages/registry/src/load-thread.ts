/** The thread behind `load-aside.ts`: loads, checks, and hands over what was asked for. */
import { parentPort, workerData } from 'node:worker_threads';
import { NestrecError } from '@nestrec/errors';
import type { Artifact } from './artifact.js';
import type { LoadAnswer, LoadRequest } from './load-aside.js';
import { loadArtifact } from './read-artifact.js';
import { servingPart } from './serving-part.js';

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

function serving(artifact: Artifact): Message {
  const part = servingPart(artifact);
  const moved = [...part.parameters.values()].map(({ data }) => data.buffer as ArrayBuffer);
  return { answer: { serving: part }, moved };
}

const { answer, moved } = await load();
parentPort!.postMessage(answer, [...moved]);
