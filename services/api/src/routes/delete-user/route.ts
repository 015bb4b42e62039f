/** DELETE /v1/users/{id}: erases all that is known of a user, through the log. */
import { randomUUID } from 'node:crypto';
import { EVENT_SCHEMA_VERSION, erasureAcceptedSchema } from '@nestrec/contracts';
import { EventLogUnavailable } from '@nestrec/errors';
import { requestErasure } from '../../erasures/request-erasure.js';
import { defineRoute } from '../../http/route.js';
import { idParams, scopes } from '../shared-schemas.js';

export const deleteUser = defineRoute({
  method: 'delete',
  path: '/v1/users/{id}',
  summary: 'Erase a user',
  description:
    'Erases the events, the state and the dead letters of the user, and keeps events up to the time of this request from being stored later. Newer events begin a new history. 202 whether the user is known or not; asking again is harmless. The receipt tells when it is done.',
  access: scopes('users:erase'),
  params: idParams,
  answers: {
    202: { description: 'The erasure is durable in the log.', schema: erasureAcceptedSchema },
  },
  errors: [EventLogUnavailable],
  handler: ({ params }, context) =>
    requestErasure(
      {
        schema_version: EVENT_SCHEMA_VERSION,
        type: 'erase_user',
        // A new one each time: a second request erases what came since the first.
        event_id: randomUUID(),
        user_id: params.id,
        timestamp_ms: context.deps.clock.now(),
      },
      context,
    ),
});
