/** The thread of `loadServingArtifact`: loads, checks, and hands over what serves. */
import { parentPort, workerData } from 'node:worker_threads';
import { NestrecError } from '@nestrec/errors';
import { ITEM_RESIDUAL } from '@nestrec/parameters';
import type { LoadAnswer, LoadRequest } from './load-aside.js';
import { loadArtifact } from './read-artifact.js';

const { path } = workerData as LoadRequest;

async function load(): Promise<{ answer: LoadAnswer; moved: ArrayBuffer[] }> {
  try {
    const { manifest, parameters } = await loadArtifact(path);
    // Copies: the tensors of a file share one buffer, which would be handed over whole.
    const kept = [...parameters]
      .filter(([name]) => name !== ITEM_RESIDUAL)
      .map(([name, { shape, data }]) => [name, { shape, data: new Float32Array(data) }] as const);
    return {
      answer: { manifest, parameters: new Map(kept) },
      moved: kept.map(([, { data }]) => data.buffer),
    };
  } catch (error) {
    if (!(error instanceof NestrecError)) throw error;
    const { code, detail = error.message } = error;
    return { answer: { refusal: { code, detail } }, moved: [] };
  }
}

const { answer, moved } = await load();
parentPort!.postMessage(answer, moved);
