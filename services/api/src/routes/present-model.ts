/** A model version and its last publish as answers show them. */
import type { ModelAnswer, PublishRunAnswer } from '@nestrec/contracts';
import type { PublishRun } from '@nestrec/storage';
import type { StoredModel } from '../deps.js';

export function presentModel(
  { version, status, createdAtMs, manifest }: StoredModel,
  publish: ModelAnswer['publish'],
): ModelAnswer {
  return {
    ...{ version, status, created_at: new Date(createdAtMs).toISOString() },
    ...{ sizes: manifest.config.sizes, items: manifest.data.items, publish },
  };
}

export function presentPublishRun(run: PublishRun): PublishRunAnswer {
  const { version, state, phase, share, code, detail, startedAtMs, endedAtMs } = run;
  return {
    ...{ version, state, phase, share, code, detail },
    started_at: new Date(startedAtMs).toISOString(),
    ended_at: endedAtMs === null ? null : new Date(endedAtMs).toISOString(),
  };
}
