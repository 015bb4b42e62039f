/** The client as a browser gets it: bundled, with nothing of Node in it, and the example of its README. */
import { readFileSync } from 'node:fs';
import { createContext, runInContext } from 'node:vm';
import { systemClock } from '@nestrec/runtime';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { repositoryRoot } from '../helpers/started-process.js';
import { startApi, type ApiHarness } from '../helpers/api/harness.js';

/** What the client may use: names that browsers and Node share. */
const WEB = {
  fetch,
  URL,
  AbortSignal,
  AbortController,
  Response,
  crypto,
  setTimeout,
  clearTimeout,
};

async function bundle(source: string) {
  const { outputFiles, metafile } = await build({
    stdin: { contents: source, resolveDir: repositoryRoot, loader: 'ts' },
    bundle: true,
    write: false,
    minify: true,
    metafile: true,
    format: 'iife',
    globalName: 'bundled',
    platform: 'browser',
    target: 'es2023',
    conditions: ['@nestrec/source'],
    supported: { 'top-level-await': true },
  });
  return { code: outputFiles[0]!.text, inputs: Object.keys(metafile.inputs) };
}

let api: ApiHarness;
beforeAll(async () => {
  // The client stamps events with this machine's time.
  api = await startApi({ clock: systemClock });
});
afterAll(() => api.stop());

describe('the client in a browser', () => {
  it('bundles from its own files alone, in less than 10 kB', async () => {
    const { code, inputs } = await bundle(`export * from '@nestrec/client'`);
    const strangers = inputs.filter((file) => !/^(<stdin>$|packages\/client\/src\/)/.test(file));
    expect(strangers).toEqual([]);
    expect(code.length).toBeLessThan(10_000);
  });

  it('runs where there is nothing but what browsers have', async () => {
    const { code } = await bundle(`export { createClient } from '@nestrec/client'`);
    const context = createContext({ ...WEB });
    const call = `bundled.createClient({ url: ${JSON.stringify(api.url)}, key: ${JSON.stringify(api.world.key())} })
      .sendEvents([{ user_id: 'u1', item_id: 'i1' }])`;
    const answer: unknown = await runInContext(`${code};${call}`, context);
    expect(answer).toMatchObject({ accepted: 1 });
  });

  it("its README's example works as it stands", async () => {
    const readme = readFileSync(`${repositoryRoot}/packages/client/README.md`, 'utf8');
    const example = /```ts\n([\s\S]*?)```/.exec(readme)![1]!;
    const source = example
      .replace('http://127.0.0.1:8080', api.url)
      .replace('YOUR_KEY', api.world.key())
      .replace(/^(import .*)$([\s\S]*)/m, '$1\nexport const done = (async () => {$2})();');
    const { code } = await bundle(source);
    const lines: string[] = [];
    const console = { log: (...parts: unknown[]) => lines.push(parts.join(' ')) };
    api.world.applied = 1_000n;
    await runInContext(`${code};bundled.done`, createContext({ ...WEB, console }));
    expect(lines).toEqual(['1 r0 1.000', '2 r1 0.999', '3 r2 0.998', 'by v1 at 64 dimensions']);
    expect(api.world.items.get('desk')).toMatchObject({ title: 'A desk' });
  });
});
