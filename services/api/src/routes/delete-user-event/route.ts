/** DELETE /v1/users/{id}/events/{event_id}: erases one event of a user, through the log. */
import { createHash } from 'node:crypto';
import { EVENT_SCHEMA_VERSION, erasureAcceptedSchema, idSchema } from '@nestrec/contracts';
import { EventLogUnavailable } from '@nestrec/errors';
import { z } from 'zod';
import { requestErasure } from '../../erasures/request-erasure.js';
import { defineRoute } from '../../http/route.js';
import { scopes } from '../shared-schemas.js';

export const deleteUserEvent = defineRoute({
  method: 'delete',
  path: '/v1/users/{id}/events/{event_id}',
  summary: 'Erase one event of a user',
  description:
    'Takes the event out of history and out of the state, as if it had never happened, and keeps late or repeated copies of it from being stored. An event of another user with the same id stays. 202 whether the event is known or not; asking again is harmless. The receipt tells when it is done.',
  access: scopes('users:erase'),
  params: z.strictObject({ id: idSchema, event_id: idSchema }),
  answers: {
    202: { description: 'The erasure is durable in the log.', schema: erasureAcceptedSchema },
  },
  errors: [EventLogUnavailable],
  handler: ({ params }, context) =>
    requestErasure(
      {
        schema_version: EVENT_SCHEMA_VERSION,
        type: 'erase_event',
        event_id: erasureIdOf(params.id, params.event_id),
        user_id: params.id,
        target_event_id: params.event_id,
        timestamp_ms: context.deps.clock.now(),
      },
      context,
    ),
});

/** The same for every request that means the same event. */
function erasureIdOf(userId: string, eventId: string): string {
  const text = JSON.stringify([userId, eventId]);
  return `x-${createHash('sha256').update(text).digest('base64url')}`;
}
