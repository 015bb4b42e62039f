/** POST /v1/events: a batch of events into the durable log. 202 once they would survive a crash. */
import {
  eventsAnswerSchema,
  eventsRequestSchema,
  MAX_EVENTS_PER_REQUEST,
} from '@nestrec/contracts';
import { EventConflict, EventLogUnavailable } from '@nestrec/errors';
import { acceptEvents } from '../../events/accept-events.js';
import { appendRecords } from '../../events/append-records.js';
import { encodeToken } from '../../events/token.js';
import { defineRoute } from '../../http/route.js';
import { scopes } from '../shared-schemas.js';

export const postEvents = defineRoute({
  method: 'post',
  path: '/v1/events',
  summary: 'Send events',
  description: `Up to ${MAX_EVENTS_PER_REQUEST} events, all or none. An event without event_id gets one derived from user, item, type, timestamp and value, so that sending the same body again changes nothing; without a timestamp too, the id is random and a retry counts again. The same event_id with another content in one request is 409; in a later request the first stands.`,
  access: scopes('events:write'),
  body: eventsRequestSchema,
  bodyLimit: 'eventsBodyLimitBytes',
  listLimit: { field: 'events', entries: MAX_EVENTS_PER_REQUEST },
  answers: {
    202: { description: 'The events are durable in the log.', schema: eventsAnswerSchema },
  },
  errors: [EventConflict, EventLogUnavailable],
  async handler({ body }, { deps, metrics }) {
    const events = acceptEvents(body.events, deps.clock.now());
    const positions = await appendRecords(
      deps.log,
      events.map((event) => ({
        key: event.user_id,
        value: Buffer.from(JSON.stringify(event)),
      })),
    );
    metrics.eventsAccepted.inc({ source: 'http' }, events.length);
    return { status: 202, body: { accepted: body.events.length, token: encodeToken(positions) } };
  },
});
