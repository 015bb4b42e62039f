/**
 * What ingest has to leave behind after any sequence of events and erasures, written from the rules of
 * docs/events.md, one record after the other and without a database.
 */
export type ModelRecord =
  | {
      readonly kind: 'event';
      readonly user: string;
      readonly id: string;
      readonly item: string;
      readonly ago: number;
    }
  | { readonly kind: 'user'; readonly user: string; readonly id: string; readonly ago: number }
  | { readonly kind: 'erased-event'; readonly user: string; readonly event: string };

interface StoredEvent {
  readonly user: string;
  readonly id: string;
  readonly item: string;
  readonly ago: number;
}

export function createErasureModel() {
  const stored = new Map<string, StoredEvent>();
  /** Smallest age in minutes that an event may not have: everything as old or older is erased. */
  const erasedFrom = new Map<string, number>();
  const erasedEvents = new Set<string>();
  const erasureIds = new Set<string>();
  let rejects: { user: string; event: string }[] = [];
  const counts = { applied: 0, duplicate: 0, rejected: 0, erased: 0, erasures: 0 };
  const eventKey = (user: string, id: string) => JSON.stringify([user, id]);

  const applyEvent = (event: StoredEvent) => {
    const { user, id } = event;
    if (event.ago >= (erasedFrom.get(user) ?? Infinity) || erasedEvents.has(eventKey(user, id))) {
      counts.erased += 1;
      return;
    }
    const known = stored.get(id);
    if (known === undefined) {
      stored.set(id, event);
      counts.applied += 1;
    } else if (known.user === user && known.item === event.item && known.ago === event.ago) {
      counts.duplicate += 1;
    } else {
      rejects.push({ user, event: id });
      counts.rejected += 1;
    }
  };

  const eraseUser = (user: string, id: string, ago: number) => {
    if (erasureIds.has(eventKey(user, id))) {
      counts.duplicate += 1;
      return;
    }
    erasureIds.add(eventKey(user, id));
    counts.erasures += 1;
    for (const event of [...stored.values()].filter((one) => one.user === user)) {
      stored.delete(event.id);
      if (event.ago < ago) erasedEvents.add(eventKey(user, event.id));
    }
    erasedFrom.set(user, Math.min(ago, erasedFrom.get(user) ?? Infinity));
    rejects = rejects.filter((one) => one.user !== user);
  };

  const eraseEvent = (user: string, id: string) => {
    counts.erasures += 1;
    erasedEvents.add(eventKey(user, id));
    if (stored.get(id)?.user === user) stored.delete(id);
    rejects = rejects.filter((one) => one.user !== user || one.event !== id);
  };

  return {
    counts,
    apply: (record: ModelRecord) => {
      if (record.kind === 'event') {
        const { user, id, item, ago } = record;
        applyEvent({ user, id, item, ago });
      } else if (record.kind === 'user') eraseUser(record.user, record.id, record.ago);
      else eraseEvent(record.user, record.event);
    },
    stored: () => [...stored.values()].sort((a, b) => (a.id < b.id ? -1 : 1)),
    rejects: () => rejects.length,
  };
}
