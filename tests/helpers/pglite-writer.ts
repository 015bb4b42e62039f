/**
 * Opens an embedded database and commits one row after another, announcing each commit, until it is
 * killed. Started by tests. Run: tsx tests/helpers/pglite-writer.ts DATA_DIR
 */
import { writeSync } from 'node:fs';
import { migrate, openPglite } from '@nestrec/database';
import { insertInteractions } from '@nestrec/storage';

// Not console.log: what was announced must be out before the next statement, whatever kills us.
const announce = (line: string) => writeSync(1, `${line}\n`);

announce('opening');
const db = await openPglite({ dataDir: process.argv[2]! });
await migrate(db);
announce('open');
for (let i = 0; ; i++) {
  const eventId = `${process.pid}-${i}`;
  await db.transaction((tx) =>
    insertInteractions(tx, [
      { eventId, userId: 'u', itemId: 'i', type: 'view', timestampMs: i, value: null },
    ]),
  );
  announce(`committed ${eventId}`);
}
