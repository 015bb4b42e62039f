/** Asks the running API for a user's recommendations, sends an event, and asks again. */
import { setTimeout as wait } from 'node:timers/promises';
import {
  eventsAnswerSchema,
  itemSchema,
  recommendationsAnswerSchema,
  type RecommendationsAnswer,
} from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import type { z } from 'zod';
import type { Output } from '../output.js';

export interface ShowOptions {
  readonly url: string;
  readonly key: string;
  readonly userId: string;
  readonly k: number;
  /** The dimensions to show side by side, the last one also after the event. */
  readonly dims: readonly number[];
  readonly output: Output;
}

export async function showAnswers(options: ShowOptions): Promise<void> {
  const { userId, dims, output } = options;
  let last: RecommendationsAnswer | null = null;
  for (const dim of dims) {
    last = await recommend(options, dim, null);
    await show(options, `${userId}, top ${options.k} at ${dim} dimensions:`, last);
  }
  const chosen = last!.items[0]!.item_id;
  const token = await sendEvent(options, chosen);
  output.note(`\n${userId} takes "${await titleOf(options, chosen)}"; the answer changes at once:`);
  const dim = dims.at(-1)!;
  const after = await recommend(options, dim, token);
  await show(options, `${userId}, top ${options.k} at ${dim} dimensions:`, after);
}

function recommend(
  options: ShowOptions,
  dim: number,
  after: string | null,
): Promise<RecommendationsAnswer> {
  const query = new URLSearchParams({ k: String(options.k), dim: String(dim) });
  if (after !== null) query.set('after', after);
  const path = `/v1/users/${encodeURIComponent(options.userId)}/recommendations?${query}`;
  return request(options, path, recommendationsAnswerSchema);
}

async function sendEvent(options: ShowOptions, itemId: string): Promise<string> {
  const events = [{ user_id: options.userId, item_id: itemId, type: 'purchase' }];
  const answer = await request(options, '/v1/events', eventsAnswerSchema, { events });
  return answer.token;
}

async function titleOf(options: ShowOptions, itemId: string): Promise<string> {
  const path = `/v1/items/${encodeURIComponent(itemId)}`;
  const item = await request(options, path, itemSchema);
  return item.title ?? itemId;
}

async function show(
  options: ShowOptions,
  heading: string,
  answer: RecommendationsAnswer,
): Promise<void> {
  options.output.note(heading);
  for (const { item_id: id, rank, score } of answer.items) {
    options.output.note(`  ${rank}. ${await titleOf(options, id)}  (${score.toFixed(3)})`);
  }
}

const ATTEMPTS = 5;

/** One request; a 503 with Retry-After (the token's events are still on their way) is tried again. */
async function request<T>(
  { url, key }: ShowOptions,
  path: string,
  schema: z.ZodType<T>,
  body?: unknown,
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetch(`${url}${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const parsed: unknown = await response.json();
    if (response.ok) return schema.parse(parsed);
    if (response.status !== 503 || attempt === ATTEMPTS) {
      throw new InternalError({
        detail: `${path} answered ${response.status}: ${JSON.stringify(parsed).slice(0, 300)}`,
      });
    }
    await wait(1_000 * Number(response.headers.get('retry-after') ?? 1));
  }
}
