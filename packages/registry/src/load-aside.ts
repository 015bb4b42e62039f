/**
 * Loads an artifact in a thread of its own, for processes that serve meanwhile: reading, hashing and checking
 * one of 100,000 items takes seconds of computing, during which a process would answer nobody.
 */
import type { Manifest, NamedArrays } from '@nestrec/contracts';
import { InputNotFound, InternalError, InvalidArtifact } from '@nestrec/errors';
import { startThread } from '@nestrec/runtime';

/** What of an artifact steps states and makes queries: all but what grows with the number of items. */
export interface ServingArtifact {
  readonly manifest: Manifest;
  /** Without the item residual R. */
  readonly parameters: NamedArrays;
}

/** What the thread says, once. */
export type LoadAnswer =
  ServingArtifact | { readonly refusal: { readonly code: string; readonly detail: string } };

export interface LoadRequest {
  readonly path: string;
}

const REFUSALS = [InvalidArtifact, InputNotFound];

/**
 * The same verdict as `loadArtifact`.
 * @throws InputNotFound, InvalidArtifact; InternalError where the thread ended without an answer
 */
export async function loadServingArtifact(path: string): Promise<ServingArtifact> {
  const request: LoadRequest = { path };
  const thread = startThread(import.meta.url, 'load-thread', { workerData: request });
  const answer = await new Promise<LoadAnswer>((resolve, reject) => {
    const fail = (what: string, cause?: unknown) =>
      reject(new InternalError({ detail: `the thread that loads ${path} ${what}`, cause }));
    thread.on('message', resolve);
    thread.on('error', (error) => fail(`failed: ${error.message}`, error));
    thread.on('exit', (code) => fail(`ended with ${code} before it answered`));
  });
  if (!('refusal' in answer)) return answer;
  const { code, detail } = answer.refusal;
  const Refusal = REFUSALS.find((one) => one.code === code) ?? InternalError;
  throw new Refusal({ detail });
}
