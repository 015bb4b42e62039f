/** PUT /v1/items: writes up to 1,000 items whole, and says of each what became of it. */
import {
  itemsRequestSchema,
  itemsWriteAnswerSchema,
  MAX_ITEMS_PER_REQUEST,
  type ItemOutcome,
} from '@nestrec/contracts';
import { RateLimited } from '@nestrec/errors';
import { defineRoute } from '../../http/route.js';
import { scopes } from '../shared-schemas.js';

export const putItems = defineRoute({
  method: 'put',
  path: '/v1/items',
  summary: 'Create or replace many items',
  description: `Up to ${MAX_ITEMS_PER_REQUEST} items, each with an id of its own. A body that is not of this shape is refused whole. Otherwise items that the published model cannot take are refused one by one, and nothing of them is written; all others go into the catalogue together and are embedded in every live version before the answer. Sending the same body again changes nothing, and completes what an error (503) cut short.`,
  access: scopes('catalogue:write'),
  body: itemsRequestSchema,
  bodyLimit: 'itemsBodyLimitBytes',
  turns: { atOnce: 4, waiting: 60 },
  listLimit: { field: 'items', entries: MAX_ITEMS_PER_REQUEST },
  answers: {
    200: { description: 'What became of each item.', schema: itemsWriteAnswerSchema },
  },
  errors: [RateLimited],
  async handler({ body }, { deps }) {
    const items = await deps.catalogue.putAll(body.items);
    const count = (outcome: ItemOutcome['outcome']) =>
      items.filter((item) => item.outcome === outcome).length;
    return {
      status: 200,
      body: {
        created: count('created'),
        updated: count('updated'),
        refused: count('refused'),
        items,
      },
    };
  },
});
