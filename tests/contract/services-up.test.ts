/** `npm run services:up` for hand use: what it prints works, and Ctrl-C leaves nothing. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { openPostgres } from '@nestrec/database';
import { afterEach, expect, it } from 'vitest';
import { kafkaMissing } from '../helpers/brokers.js';
import { postgresMissing } from '../helpers/databases.js';
import { answersMetadata } from '../helpers/kafka-server.js';
import { waitFor } from '../helpers/wait-for.js';

const missing = postgresMissing() ?? kafkaMissing();
const script = fileURLToPath(new URL('../helpers/services-up.ts', import.meta.url));
const startServices = (...args: string[]) =>
  spawn(process.execPath, ['--conditions=@nestrec/source', '--import', 'tsx', script, ...args]);

let services: ReturnType<typeof startServices> | undefined;
const ended = () => new Promise<number | null>((resolve) => services!.once('close', resolve));
const collect = (stream: NodeJS.ReadableStream) => {
  const parts: string[] = [];
  stream.on('data', (chunk: Buffer) => parts.push(chunk.toString()));
  return () => parts.join('');
};
afterEach(() => services?.kill('SIGTERM'));

it.skipIf(missing !== null)(
  `prints two variables that lead to an empty database and a broker, until Ctrl-C ${missing ?? ''}`,
  async () => {
    services = startServices();
    const end = ended();
    const output = collect(services.stdout!);
    const told = collect(services.stderr!);
    const up = () => told().includes('both are up') || services!.exitCode !== null;
    await waitFor('both services', up, 100_000);
    const printed = /^export DATABASE_URL=(\S+)\nexport KAFKA_BROKERS=(\S+)\n$/.exec(output());
    expect(printed, told()).not.toBeNull();
    const [, url, brokers] = printed! as unknown as [string, string, string];

    const db = await openPostgres({ url, max: 1 });
    const { rows } = await db.query('SELECT 1 FROM pg_tables WHERE schemaname = current_schema()');
    expect(rows).toEqual([]);
    await db.close();
    expect(await answersMetadata(brokers)).toBe(true);

    services.kill('SIGINT');
    expect(await end).toBe(0);
    expect(told()).toContain('nothing is left');
    expect(await answersMetadata(brokers)).toBe(false);
    await expect(openPostgres({ url, max: 1 })).rejects.toThrow();
  },
  120_000,
);

it('refuses a version that is not tested, with those that are', async () => {
  services = startServices('--kafka', '2.8.0');
  const told = collect(services.stderr!);
  expect(await ended()).toBe(2);
  expect(told()).toContain('"2.8.0" is not one of 4.3.1, 3.9.1');
});
