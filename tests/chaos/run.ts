/**
 * `npm run test:chaos`: runs the chaos runs and their must-fail twins one after another, prints a table, and
 * exits 1 where a run broke a promise or a twin did not.
 *
 *   --only A1,A4   these runs only             --ci          those that guard every merge, without twins
 *   --seed N       all chance follows from it  --kills N     kills of A1 (20; 300 before a release)
 *   --no-twins     runs only                   --only-twins  twins only
 *   --shrink N     an Nth of events and faults, to try a run out: no pass numbers
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createRandom } from '@nestrec/random';
import { repositoryRoot } from '../helpers/started-process.js';
import { createContext, type Build, type ChaosOptions, type Verdict } from './harness/context.js';
import { startGround, type Ground } from './harness/ground.js';
import { reproduction } from './harness/reproduction.js';
import { RUNS, type ChaosRun } from './runs.js';

interface Row {
  readonly run: ChaosRun;
  readonly build: Build;
  readonly seconds: number;
  readonly verdict: Verdict | null;
  /** Why it failed; null where all is as it should be. */
  readonly fault: string | null;
}

if (process.env['NESTREC_CHILDREN'] !== 'dist') {
  throw new Error('nobody has built: start it by npm run test:chaos, which builds first');
}
const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string' },
    kills: { type: 'string' },
    shrink: { type: 'string', default: '1' },
    ci: { type: 'boolean', default: false },
    'no-twins': { type: 'boolean', default: false },
    'only-twins': { type: 'boolean', default: false },
  },
});

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new Error(`--${name}: got ${text}, wanted a whole number`);
}

function chosenRuns(): readonly ChaosRun[] {
  const pool = values.ci ? RUNS.filter((run) => run.ci) : RUNS;
  if (values.only === undefined) return pool;
  const ids = values.only.split(',').map((id) => id.trim().toUpperCase());
  const unknown = ids.filter((id) => !RUNS.some((run) => run.id === id));
  if (unknown.length > 0) {
    const known = RUNS.map((run) => run.id).join(', ');
    throw new Error(`--only: got ${unknown.join(', ')}, wanted some of ${known}`);
  }
  return RUNS.filter((run) => ids.includes(run.id));
}

const options: ChaosOptions = {
  seed: values.seed === undefined ? Date.now() % 1_000_000 : wholeNumber('seed', values.seed),
  kills: values.kills === undefined ? null : wholeNumber('kills', values.kills),
  ci: values.ci,
  shrink: wholeNumber('shrink', values.shrink),
};
const say = (line: string) => void process.stdout.write(`${line}\n`);

async function execute(run: ChaosRun, ground: Ground, build: Build): Promise<Row> {
  const name = build === 'broken' ? `${run.id} twin` : run.id;
  const about = build === 'broken' ? `${run.title}, with ${run.twin}` : run.title;
  say(`\n== ${name}: ${about} (seed ${options.seed})`);
  const random = createRandom(options.seed).fork(`${run.id} ${build}`);
  const context = createContext(options, random, say);
  const startedAtMs = performance.now();
  let verdict: Verdict | null = null;
  let fault: string | null = null;
  try {
    verdict = await run.execute(context, ground, build);
    fault = build === 'product' ? faultOfRun(verdict) : faultOfTwin(run, verdict);
  } catch (error) {
    fault = `ended early: ${(error as Error).stack ?? String(error)}`;
  }
  await context.undo();
  await ground.heal();
  const seconds = (performance.now() - startedAtMs) / 1_000;
  for (const failure of verdict?.failures ?? []) say(`   ${failure}`);
  say(`${fault === null ? 'ok' : 'FAILED'}  ${name} in ${seconds.toFixed(0)} s`);
  if (fault !== null) {
    say(`${fault}\nseed ${options.seed}; again: ${reproduction(run.id, build, options)}`);
    const folder = join(repositoryRoot, '.cache', 'chaos');
    mkdirSync(folder, { recursive: true });
    const path = join(folder, `${name.replace(' ', '-')}-${options.seed}.txt`);
    writeFileSync(path, `${fault}\n\n${context.schedule()}\n`);
    say(`fault schedule: .cache/chaos/${name.replace(' ', '-')}-${options.seed}.txt`);
  }
  return { run, build, seconds, verdict, fault };
}

const faultOfRun = ({ failures }: Verdict) => (failures.length === 0 ? null : failures.join('\n'));

function faultOfTwin(run: ChaosRun, verdict: Verdict): string | null {
  if (verdict.failures.length === 0) return 'the broken build passed: this run proves nothing';
  if (run.twinShows === undefined || run.twinShows(verdict)) return null;
  return 'the broken build failed, but not by what it is there to show';
}

function printTable(rows: readonly Row[]): void {
  say(`\n| run | verdict | seconds | measured | pass number |\n|---|---|---|---|---|`);
  for (const { run, build, seconds, verdict, fault } of rows) {
    const measured = Object.entries(verdict?.measures ?? {}).map(([name, value]) => {
      const text = typeof value === 'number' ? value.toLocaleString('en-US') : value;
      return `${name} ${text}`;
    });
    const twin = build === 'broken';
    const good = twin ? 'red, as it must be' : 'passed';
    const cells = [
      twin ? `${run.id} twin` : run.id,
      fault === null ? good : 'FAILED',
      seconds.toFixed(0),
      measured.join(', '),
      twin ? `must fail: ${run.twin}` : run.pass,
    ];
    say(`| ${cells.join(' | ')} |`);
  }
}

const runs = chosenRuns();
const builds: Build[] = values['only-twins']
  ? ['broken']
  : values['no-twins'] || values.ci
    ? ['product']
    : ['product', 'broken'];
const rows: Row[] = [];
const startedAtMs = performance.now();
const ground = await startGround(options.seed);
try {
  for (const run of runs) {
    for (const build of builds) {
      if (build === 'product' || run.twin !== null) rows.push(await execute(run, ground, build));
    }
  }
} finally {
  await ground.stop();
}
printTable(rows);
const failed = rows.filter((row) => row.fault !== null).length;
const minutes = ((performance.now() - startedAtMs) / 60_000).toFixed(1);
const shrunk = options.shrink === 1 ? '' : `; shrunk ${options.shrink} times: no pass numbers`;
say(`\nseed ${options.seed}, ${minutes} min, ${failed} of ${rows.length} failed${shrunk}`);
process.exit(failed === 0 ? 0 : 1);
