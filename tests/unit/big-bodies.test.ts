/**
 * Bodies that are large, deep or swell when they are inflated, many at once (reliability.md D11): each is
 * refused for what it is, or told to come again, and none of them costs the server much time or memory.
 *
 * BODIES sets how many at once; 1,000 in `npm run test:security`.
 */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { call, type Reply } from '../helpers/api/harness.js';
import { startSource } from '../helpers/source-child.js';
import type { StartedProcess } from '../helpers/started-process.js';

const BODIES = Number(process.env['BODIES'] ?? 400);
const MAX_CPU_MS = 50;
const MAX_GROWTH_BYTES = 100 * 2 ** 20;
const MS_PER_TICK = 10;
const WARM_UP = 8;

interface Body {
  readonly name: string;
  readonly method: string;
  readonly path: string;
  readonly body: string | Uint8Array;
  readonly encoding?: string;
  readonly status: number;
}

const POST = { method: 'POST', path: '/v1/events' };
const PUT = { method: 'PUT', path: '/v1/items/i9' };
const BULK = { method: 'PUT', path: '/v1/items' };
const event = { user_id: 'u', item_id: 'i' };
const tooMany = JSON.stringify({ events: Array(1_001).fill(event) });
const deep = '['.repeat(45_000) + ']'.repeat(45_000);
const KINDS: readonly Body[] = [
  { name: '45,000 nested arrays', ...PUT, body: deep, status: 400 },
  {
    name: '16,000 nested objects',
    ...PUT,
    body: `${'{"a":'.repeat(16_000)}1${'}'.repeat(16_000)}`,
    status: 400,
  },
  { name: '200 kB', ...PUT, body: `{"title":"${'x'.repeat(200_000)}"}`, status: 413 },
  {
    name: '100 MB in 97 kB of gzip',
    ...PUT,
    body: gzipSync(Buffer.alloc(100_000_000, 'x')),
    encoding: 'gzip',
    status: 413,
  },
  {
    name: '100 MB of gzip to the bulk route',
    ...BULK,
    body: gzipSync(Buffer.alloc(100_000_000, ' ')),
    encoding: 'gzip',
    status: 413,
  },
  { name: '1,001 events', ...POST, body: tooMany, status: 413 },
  {
    name: '7,000 unknown fields',
    ...PUT,
    body: JSON.stringify(Object.fromEntries(Array.from({ length: 7_000 }, (_, n) => [`k${n}`, n]))),
    status: 400,
  },
  {
    name: '45,000 numbers in a list',
    ...PUT,
    body: JSON.stringify({ categories: Array(45_000).fill(1) }),
    status: 422,
  },
];

let server: StartedProcess;
let url: string;
let key: string;
beforeAll(async () => {
  server = startSource(new URL('../helpers/api/fake-api-child.ts', import.meta.url), []);
  const [, address, secret] = await server.waitForLine(/^ready (\S+) (\S+)$/m, 60_000);
  [url, key] = [address!, secret!];
});
afterAll(async () => {
  server.kill('SIGTERM');
  await server.ended;
});

const proc = (file: string) => readFileSync(`/proc/${server.child.pid}/${file}`, 'utf8');
const peakBytes = () => Number(/VmHWM:\s+(\d+) kB/.exec(proc('status'))![1]) * 1_024;
function cpuMs(): number {
  const stat = proc('stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

function send({ method, path, body, encoding }: Body): Promise<Reply> {
  const headers = {
    'content-type': 'application/json',
    ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
  };
  return call(url, key, method, path, { body, headers });
}

describe.skipIf(process.platform !== 'linux')('big and deep bodies', () => {
  // Some of each: what the first requests of a process make it compile and reserve is no matter of bodies.
  it.each(KINDS.map((kind) => [kind.name, kind] as const))('%s is refused', async (_name, kind) => {
    for (let n = 0; n < WARM_UP; n++) expect((await send(kind)).status).toBe(kind.status);
  });

  it(
    `${BODIES} at once take at most ${MAX_CPU_MS} ms each and 100 MB together, and others are served`,
    { timeout: 300_000 },
    async () => {
      const [startCpuMs, startBytes] = [cpuMs(), peakBytes()];
      let judged = 0;
      await Promise.all(
        Array.from({ length: BODIES }, async (_, index) => {
          const kind = KINDS[index % KINDS.length]!;
          const reply = await send(kind);
          // More than may wait come again.
          if (reply.status === 429) expect(reply.headers.get('retry-after')).toBe('1');
          else expect(reply.status, `${kind.name}: ${reply.text.slice(0, 200)}`).toBe(kind.status);
          if (reply.status === kind.status) judged++;
        }),
      );
      const [cpuEachMs, grownBytes] = [(cpuMs() - startCpuMs) / BODIES, peakBytes() - startBytes];
      console.log(
        `${BODIES} at once: ${judged} judged, the others 429; ${cpuEachMs.toFixed(1)} ms of CPU each, ${(grownBytes / 2 ** 20).toFixed(0)} MB more`,
      );
      expect(judged).toBeGreaterThan(BODIES / 4);
      expect(cpuEachMs).toBeLessThan(MAX_CPU_MS);
      expect(grownBytes).toBeLessThan(MAX_GROWTH_BYTES);
      expect((await call(url, key, 'GET', '/v1/tiers')).status).toBe(200);
    },
  );
});
