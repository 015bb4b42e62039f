/**
 * The main job, start to end, on a generated shop. It ends by serving; what it shows comes from its own
 * HTTP API, asked as any client would.
 */
import { assertListenable } from '@nestrec/api';
import type { Manifest } from '@nestrec/contracts';
import { listApiKeys, revokeApiKey } from '@nestrec/storage';
import { startAllInOne, type RunningServer } from '../all-in-one.js';
import type { CommandContext } from '../command-context.js';
import { createKey } from '../commands/keys.js';
import { openPlatform, type Platform } from '../platform.js';
import { renderQuality } from '../quality-table.js';
import { serveUntilInterrupted } from '../serving.js';
import type { Output } from '../output.js';
import { claimDataFolder, writeState } from './demo-state.js';
import { SHOP_SIZES } from './shop.js';
import { showAnswers } from './show-answers.js';
import { DEMO_SEED, DEMO_SIZES, importShop, publishDemo, trainDemo } from './stages.js';

const DEMO_CLIENT = 'demo';
const SAMPLE_USER = 'user-0007';
const SHOWN = 5;

export async function runDemo({ config, output }: CommandContext): Promise<void> {
  const scale = config.demoScale;
  output.note(`nestrec demo: data in ${config.dataDir}, Ctrl-C stops.`);
  // Before the minutes of work, not after them.
  await assertListenable(config.port, config.host);
  const platform = await openPlatform(config);
  await serveUntilInterrupted(platform, output, async ({ signal, started }) => {
    const state = await claimDataFolder(platform, { scale, seed: DEMO_SEED });
    if (!state.imported) {
      await importShop(platform, output, SHOP_SIZES[scale], signal);
      await writeState(platform, { ...state, imported: true });
    }
    signal.throwIfAborted();
    const manifest = await trainDemo(platform, output, scale, signal);
    output.note(describeQuality(manifest));
    signal.throwIfAborted();
    await publishDemo(platform, output, manifest.version);
    signal.throwIfAborted();
    const key = await renewDemoKey(platform);
    const server = await startAllInOne(platform);
    started(server);
    await present(server, key, output, signal);
  });
}

async function present(
  server: RunningServer,
  key: string,
  output: Output,
  signal: AbortSignal,
): Promise<void> {
  await showAnswers({
    url: server.url,
    key,
    userId: SAMPLE_USER,
    k: SHOWN,
    dims: [16, DEMO_SIZES.at(-1)!],
    output,
  });
  signal.throwIfAborted();
  const url = `${server.url}/v1/users/${SAMPLE_USER}/recommendations?k=${SHOWN}&dim=${DEMO_SIZES.at(-1)}&because=true`;
  output.note('\nAsk yourself:');
  output.note(`curl -s -H 'Authorization: Bearer ${key}' '${url}'`);
  output.note(`The API is described at ${server.url}/docs\n`);
  server.open();
  output.note(`ready ${server.url}`);
}

/** A key for the curl line: keys are shown once, so each start makes one and ends the last. */
async function renewDemoKey({ db }: Platform): Promise<string> {
  const created = await createKey(db, {
    client: DEMO_CLIENT,
    tier: 'full',
    scopes: ['recommend', 'events:write', 'catalogue:write'],
  });
  for (const key of await listApiKeys(db)) {
    const stale = key.client === DEMO_CLIENT && key.publicId !== created.id;
    if (stale && key.revokedAtMs === null) await revokeApiKey(db, key.publicId);
  }
  return created.key;
}

function describeQuality(manifest: Manifest): string {
  const table = renderQuality(manifest.quality, {
    part: 'test',
    seenMasked: true,
    metrics: ['ndcg@10', 'recall@10'],
  });
  return `\nQuality (NDCG@10, Recall@10): one model, every size\n${table}\n`;
}
