/** The served version published once more, on both databases: what stands is measured, what is new is judged. */
import type { Database, Hold } from '@nestrec/database';
import type { PublishOptions, TierNeed } from '@nestrec/publishing';
import { silentLogger, type Logger } from '@nestrec/runtime';
import { getPublished, getVersion, listItemVectorTables, upsertItems } from '@nestrec/storage';
import { beforeEach, describe, expect, it } from 'vitest';
import { createVectorTable } from '../../packages/publishing/src/vector-table.js';
import { describeDatabases } from '../helpers/databases.js';
import { catalogueItem, makeArtifact } from '../helpers/published-artifact.js';
import { publishingOn } from '../helpers/publishing.js';
import { wipeAll } from '../helpers/state-verification.js';
import { tiersOf } from '../helpers/tiers-of.js';

const logger = silentLogger();
/** More than there can be: nothing that is judged passes. */
const UNREACHABLE = 1.01;

describeDatabases('the served version, published again', (database) => {
  const v1 = makeArtifact({ version: 'v1' });
  const { publish: publishArtifact, namesOf } = publishingOn(database);
  const publish = (extra: Partial<PublishOptions> = {}) => publishArtifact(v1, extra);
  const plansOf = async () =>
    (await getVersion(database(), 'v1'))!.plans.map(
      ({ dim, plan, index }) => `${dim} ${plan} ${index ?? '-'}`,
    );
  const staged: TierNeed[] = [...tiersOf(4), { max_dim: null, plan: 'staged' }];

  beforeEach(async () => {
    await wipeAll(database());
    await publish();
    expect(await plansOf()).toEqual(['4 prefix iv_v1_4h', '16 prefix iv_v1_16h']);
  });

  it('keeps plan and index of a size whose new plan finds too little, and says so', async () => {
    const result = await publish({ tiers: staged, minRecall: UNREACHABLE });
    expect(result).toMatchObject({ outcome: 'already_published' });
    expect(result.warnings).toEqual([
      expect.stringMatching(
        /^at 16 dimensions plan staged finds \d\.\d{3} of the exact top 20, wanted 1\.01: plan prefix stays, which finds \d/,
      ),
    ]);
    expect(await plansOf()).toEqual(['4 prefix iv_v1_4h', '16 prefix iv_v1_16h']);
    expect(await namesOf('v1')).toEqual(['iv_v1_16h', 'iv_v1_4h']);
  });

  it('serves a new size by the exact scan where the better connected index finds too little as well', async () => {
    const warned: string[] = [];
    const listening: Logger = {
      ...logger,
      warn: (_facts: unknown, text?: string) => warned.push(text!),
    };
    const result = await publish({
      ...{ tiers: tiersOf(4, 8, null), minRecall: UNREACHABLE, logger: listening },
    });
    expect(result.warnings).toEqual([
      expect.stringMatching(/^at 8 dimensions plan prefix .*: the exact scan serves them/),
    ]);
    expect(warned.filter((text) => text === 'the index finds too little')).toHaveLength(2);
    expect(warned).toContain(result.warnings[0]);
    expect(await plansOf()).toEqual(['4 prefix iv_v1_4h', '8 exact -', '16 prefix iv_v1_16h']);
    expect(await namesOf('v1')).toEqual(['iv_v1_16h', 'iv_v1_4h']);
  });

  it('takes a new plan that finds enough, and drops the index before', async () => {
    const result = await publish({ tiers: staged, minRecall: 0.5 });
    expect(result.warnings).toEqual([]);
    expect(await plansOf()).toEqual(['4 prefix iv_v1_4h', '16 staged iv_v1_8h']);
    expect(await namesOf('v1')).toEqual(['iv_v1_4h', 'iv_v1_8h']);
  });

  describe('by who lost the claim meanwhile', () => {
    /** A database whose claim is lost when `loss.happened` is. */
    const losing = (loss: { happened: boolean }): Database => ({
      ...database(),
      hold: async (lock, holder) => {
        const held = await database().hold(lock, holder);
        if ('heldBy' in held) return held;
        const losable: Hold = {
          get lost() {
            return loss.happened || held.lost;
          },
          release: () => held.release(),
        };
        return losable;
      },
    });

    it('changes neither plans nor indexes', async () => {
      const loss = { happened: false };
      const refused = publish({
        ...{ db: losing(loss), tiers: tiersOf(8) },
        onProgress: ({ phase }) => {
          loss.happened ||= phase === 'index';
        },
      });
      await expect(refused).rejects.toMatchObject({
        code: 'publish_conflict',
        detail: expect.stringContaining('the claim to publish was lost') as string,
      });
      expect(await plansOf()).toEqual(['4 prefix iv_v1_4h', '16 prefix iv_v1_16h']);
      expect(await namesOf('v1')).toEqual(expect.arrayContaining(['iv_v1_16h', 'iv_v1_4h']));
    });

    it('drops no table: it may be that of who publishes now', async () => {
      const loss = { happened: false };
      const next = makeArtifact({ version: 'v2' });
      await publish({
        ...{ db: losing(loss), artifact: next },
        // After the last look at the claim, in the transaction that moves the pointer.
        guard: async (tx) => {
          await createVectorTable(tx, 'v9', [4, 8, 16]);
          loss.happened = true;
        },
      });
      expect((await getPublished(database()))?.version).toBe('v2');
      expect(await listItemVectorTables(database())).toEqual(['v1', 'v2', 'v9']);
    });
  });

  it('embeds what the publish before could not: that one was reported as published, for it served', async () => {
    const v2 = makeArtifact({ version: 'v2' });
    let moved = false;
    const failing: Database = {
      ...database(),
      query: (text, params) =>
        moved && text.includes('FROM items')
          ? Promise.reject(new Error('the connection broke'))
          : database().query(text, params),
    };
    const result = await publish({
      ...{ db: failing, artifact: v2 },
      guard: async (tx) => {
        await upsertItems(tx, [catalogueItem(700)]);
        moved = true;
      },
    });
    expect(result).toMatchObject({ version: 'v2', outcome: 'published', items: 60 });
    expect(result.warnings).toEqual([
      expect.stringMatching(/^v2 serves, but items written just before the swap could not be/),
    ]);
    expect((await getPublished(database()))?.version).toBe('v2');
    expect(await publish({ artifact: v2 })).toMatchObject({ items: 61, newItems: 1, warnings: [] });
  });
});
