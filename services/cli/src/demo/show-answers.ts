/** Asks the running API for a user's recommendations, sends an event, and asks again. */
import { createClient, NestrecApiError, type NestrecClient } from '@nestrec/client';
import type { RecommendationsAnswer } from '@nestrec/contracts';
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
  const { userId, k, dims, output } = options;
  const client = createClient(options);
  const show = async (heading: string, answer: RecommendationsAnswer) => {
    output.note(heading);
    for (const { item_id: id, rank, score, because: [reason] = [] } of answer.items) {
      const since = reason === undefined ? '' : `, since: ${await titleOf(client, reason.item_id)}`;
      output.note(`  ${rank}. ${await titleOf(client, id)}  (${score.toFixed(3)}${since})`);
    }
  };
  let last: RecommendationsAnswer | null = null;
  for (const dim of dims) {
    last = await client.recommend(userId, { k, dim });
    await show(`${userId}, top ${k} at ${dim} dimensions:`, last);
  }
  const chosen = last!.items[0]!.item_id;
  const { token } = await client.sendEvents([
    { user_id: userId, item_id: chosen, type: 'purchase' },
  ]);
  const title = await titleOf(client, chosen);
  output.note(`\n${userId} takes "${title}"; the answer changes at once:`);
  const dim = dims.at(-1)!;
  const after = await client.recommend(userId, { k, dim, after: token, because: true });
  await show(`${userId}, top ${k} at ${dim} dimensions:`, after);
}

/** The id where the item has no title, or was deleted since the user took it. */
async function titleOf(client: NestrecClient, itemId: string): Promise<string> {
  try {
    return (await client.getItem(itemId)).title ?? itemId;
  } catch (error) {
    if (error instanceof NestrecApiError && error.status === 404) return itemId;
    throw error;
  }
}
