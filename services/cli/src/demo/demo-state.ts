/**
 * What `npm start` remembers in the data folder: which shop lies there. A folder with anything else in it
 * is left alone.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '@nestrec/errors';
import { writeFileAtomic } from '@nestrec/runtime';
import { countInteractions, countItems } from '@nestrec/storage';
import { z } from 'zod';
import type { Platform } from '../platform.js';

const demoSchema = z.strictObject({
  scale: z.string(),
  seed: z.number().int(),
  /** The shop was stored whole once: what is deleted or changed since then is so on purpose. */
  imported: z.boolean().default(false),
});
export type DemoState = z.infer<typeof demoSchema>;

const pathOf = (platform: Platform) => join(platform.folders.root, 'demo.json');

/**
 * Claims the data folder for this shop; tells how far the shop in it is.
 * @throws UsageError where it holds another shop, or data that are not the demo's
 */
export async function claimDataFolder(
  platform: Platform,
  wanted: Pick<DemoState, 'scale' | 'seed'>,
): Promise<DemoState> {
  const there = await readState(platform);
  const cure = 'Set NESTREC_DATA_DIR to another folder, or run `nestrec serve` for what is there.';
  if (there === null) {
    const { interactions } = await countInteractions(platform.db);
    const items = await countItems(platform.db);
    if (interactions > 0n || items > 0n) {
      throw new UsageError({
        detail: `${platform.folders.root} holds data that are not the demo's (${interactions} events, ${items} items). ${cure}`,
      });
    }
    return writeState(platform, { ...wanted, imported: false });
  }
  if (there.scale !== wanted.scale || there.seed !== wanted.seed) {
    throw new UsageError({
      detail: `${platform.folders.root} holds the demo shop "${there.scale}", wanted "${wanted.scale}". ${cure}`,
    });
  }
  return there;
}

export async function writeState(platform: Platform, state: DemoState): Promise<DemoState> {
  await writeFileAtomic(pathOf(platform), `${JSON.stringify(state)}\n`);
  return state;
}

async function readState(platform: Platform): Promise<DemoState | null> {
  try {
    return demoSchema.parse(JSON.parse(await readFile(pathOf(platform), 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw new UsageError({
      detail: `${pathOf(platform)} is not readable as a demo's state; remove it or the data folder.`,
      cause: error,
    });
  }
}
