/**
 * From a parsed request to log records: every field filled in, times judged, equal events once, and two
 * events under one id refused. Pure but for the random ids of events that have neither id nor time.
 */
import { EVENT_SCHEMA_VERSION, type EventInput, type LogInteraction } from '@nestrec/contracts';
import { EventConflict, excerpt, InvalidRequest, type FieldFault } from '@nestrec/errors';
import { describe } from '../http/validate.js';
import { deriveEventId } from './event-id.js';
import { readTimestamp } from './timestamps.js';

const SHOWN_FAULTS = 20;

/** @throws InvalidRequest for times out of range, EventConflict for one id with two bodies */
export function acceptEvents(inputs: readonly EventInput[], nowMs: number): LogInteraction[] {
  const events = complete(inputs, nowMs);
  const byId = new Map<string, { event: LogInteraction; body: string; index: number }>();
  const conflicts: FieldFault[] = [];
  events.forEach((event, index) => {
    const body = JSON.stringify(event);
    const known = byId.get(event.event_id);
    if (known === undefined) byId.set(event.event_id, { event, body, index });
    else if (known.body !== body && conflicts.length < SHOWN_FAULTS) {
      conflicts.push({
        path: `events[${index}].event_id`,
        got: excerpt(event.event_id),
        want: `an id of its own: events[${known.index}] has it with another content`,
      });
    }
  });
  if (conflicts.length > 0) {
    throw new EventConflict({ fields: conflicts, detail: describe(conflicts) });
  }
  return [...byId.values()].map(({ event }) => event);
}

function complete(inputs: readonly EventInput[], nowMs: number): LogInteraction[] {
  const faults: FieldFault[] = [];
  let bad = 0;
  const events = inputs.map((input, index): LogInteraction => {
    let timestampMs: number | null = null;
    if (input.timestamp !== undefined) {
      const verdict = readTimestamp(input.timestamp, `events[${index}].timestamp`, nowMs);
      if (verdict.ok) timestampMs = verdict.timestampMs;
      else if (++bad <= SHOWN_FAULTS) faults.push(verdict.fault);
    }
    const { user_id, item_id, type } = input;
    const value = input.value ?? null;
    return {
      schema_version: EVENT_SCHEMA_VERSION,
      event_id: input.event_id ?? deriveEventId({ user_id, item_id, type, timestampMs, value }),
      user_id,
      item_id,
      type,
      timestamp_ms: timestampMs ?? nowMs,
      value,
    };
  });
  if (bad > 0) throw new InvalidRequest({ fields: faults, detail: describe(faults, bad) });
  return events;
}
