/**
 * Loads artifacts for processes that serve meanwhile, large ones in a thread of their own: reading, hashing and
 * checking one of 100,000 items takes seconds of computing, during which a process would answer nobody.
 */
import type { NamedArrays } from '@nestrec/contracts';
import { InputNotFound, InternalError, InvalidArtifact } from '@nestrec/errors';
import { restoreTextEncoder } from '@nestrec/features';
import { startThread } from '@nestrec/runtime';
import type { Artifact } from './artifact.js';
import { sizeOfFolder } from './artifact-files.js';
import { loadArtifact } from './read-artifact.js';
import { servingPart, type ServingArtifact } from './serving-part.js';

/**
 * Below this many bytes an artifact is loaded where it is asked for: at 6 ms a megabyte that holds answers up for
 * less than a twentieth of a second, while a thread costs a fifth of a second of computing before it reads anything.
 */
const THREAD_FROM_BYTES = 4_000_000;

export interface LoadAsideOptions {
  /** Bytes of an artifact from which on a thread loads it. */
  readonly threadFromBytes?: number;
}

export interface LoadRequest {
  readonly path: string;
  readonly what: 'whole' | 'serving';
}

/** What the thread says, once. */
export type LoadAnswer =
  | { readonly serving: ServingArtifact }
  | { readonly whole: WholeArtifact }
  | { readonly refusal: { readonly code: string; readonly detail: string } };

/** An artifact as threads can pass it on. */
export type WholeArtifact = Omit<Artifact, 'encoder'> & { readonly encoder: NamedArrays | null };

const REFUSALS = [InvalidArtifact, InputNotFound];

/**
 * The same artifact and the same verdict as `loadArtifact`.
 * @throws InputNotFound, InvalidArtifact; InternalError where the thread ended without an answer
 */
export async function loadArtifactAside(
  path: string,
  options: LoadAsideOptions = {},
): Promise<Artifact> {
  if (!(await needsThread(path, options))) return loadArtifact(path);
  const answer = await ask({ path, what: 'whole' });
  if (!('whole' in answer)) throw unexpected(path);
  const { encoder, ...rest } = answer.whole;
  return { ...rest, encoder: encoder === null ? null : restoreTextEncoder(encoder) };
}

/** Of the same artifact what serves; the verdict is on the whole of it. @throws as `loadArtifactAside` */
export async function loadServingArtifact(
  path: string,
  options: LoadAsideOptions = {},
): Promise<ServingArtifact> {
  if (!(await needsThread(path, options))) return servingPart(await loadArtifact(path));
  const answer = await ask({ path, what: 'serving' });
  if (!('serving' in answer)) throw unexpected(path);
  return answer.serving;
}

async function needsThread(
  path: string,
  { threadFromBytes = THREAD_FROM_BYTES }: LoadAsideOptions,
): Promise<boolean> {
  return (await sizeOfFolder(path)) >= threadFromBytes;
}

async function ask(
  workerData: LoadRequest,
): Promise<Exclude<LoadAnswer, { readonly refusal: unknown }>> {
  const thread = startThread(import.meta.url, 'load-thread', { workerData });
  const answer = await new Promise<LoadAnswer>((resolve, reject) => {
    const fail = (what: string, cause?: unknown) =>
      reject(
        new InternalError({ detail: `the thread that loads ${workerData.path} ${what}`, cause }),
      );
    thread.on('message', resolve);
    thread.on('error', (error) => fail(`failed: ${error.message}`, error));
    thread.on('exit', (code) => fail(`ended with ${code} before it answered`));
  });
  if (!('refusal' in answer)) return answer;
  const { code, detail } = answer.refusal;
  const Refusal = REFUSALS.find((one) => one.code === code) ?? InternalError;
  throw new Refusal({ detail });
}

const unexpected = (path: string) =>
  new InternalError({
    detail: `the thread that loads ${path} gave another answer than was asked for`,
  });
