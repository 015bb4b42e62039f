/**
 * Keys that reach prototypes (reliability.md D7) in what does not come by HTTP: records of the log, and rows of
 * files that are imported. Every member in every object of each.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importInteractions, importItems } from '@nestrec/dataset';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseRecord } from '../../services/ingest/src/record-parsing.js';
import {
  expectUnpolluted,
  objectsIn,
  POLLUTING_MEMBERS,
  withMember,
} from '../helpers/pollution.js';

const NOW_MS = Date.UTC(2026, 10, 26);
const head = { schema_version: 1, event_id: 'e', user_id: 'u', timestamp_ms: NOW_MS };
const RECORDS = [
  { ...head, item_id: 'i', type: 'view', value: 1.5 },
  { ...head, type: 'erase_user' },
  { ...head, type: 'erase_event', target_event_id: 'x' },
];

/** The text with each member in each of its objects. */
const pollutedForms = (json: string) =>
  POLLUTING_MEMBERS.flatMap((member) =>
    Array.from({ length: objectsIn(json) }, (_, at) => withMember(json, member, at)),
  );

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-pollution-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('keys that reach prototypes', () => {
  it('make a record of the log a dead letter, whatever its kind', () => {
    for (const record of RECORDS) {
      const parse = (json: string) =>
        parseRecord({ key: 'u', value: new TextEncoder().encode(json) }, NOW_MS);
      expect(parse(JSON.stringify(record)).fault).toBeUndefined();
      for (const json of pollutedForms(JSON.stringify(record))) {
        expect(parse(json).fault?.reason, json).toBe('invalid_event');
        expectUnpolluted();
      }
    }
  });

  it('in rows of interactions are columns that nobody reads', async () => {
    const row = JSON.stringify({ user_id: 'u', item_id: 'i', timestamp: 1_600_000_000 });
    const path = join(folder, 'interactions.jsonl');
    const forms = pollutedForms(row);
    await writeFile(path, forms.map((json, n) => json.replace('"i"', `"i${n}"`)).join('\n'));
    const imported = await importInteractions({ kind: 'table', path }, { nowMs: NOW_MS });
    let stored = 0;
    for await (const batch of imported.batches()) {
      for (const one of batch) expectUnpolluted(one);
      stored += batch.length;
    }
    await imported.close();
    expect(stored).toBe(forms.length);
  });

  it('in rows of items, at their top or in their fields and features, change no object', async () => {
    const row = JSON.stringify({ item_id: 'i', fields: { a: 1 }, features: { image: [1] } });
    const forms = pollutedForms(row);
    expect(forms).toHaveLength(3 * POLLUTING_MEMBERS.length);
    const path = join(folder, 'items.jsonl');
    const rows = forms.map((json, n) => json.replace('"i"', `"i${n}"`));
    await writeFile(path, [...rows, '{"item_id":"clean"}'].join('\n'));
    const imported = await importItems({ path }, { maxBad: 1 });
    const ids: string[] = [];
    for await (const batch of imported.batches()) {
      for (const item of batch) {
        ids.push(item.item_id);
        expectUnpolluted(item, item.fields ?? {}, item.features ?? {});
      }
    }
    await imported.close();
    expect(ids).toContain('clean');
    expect(ids).toContain('i0');
    expectUnpolluted();
  });
});
