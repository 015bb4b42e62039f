/** The runs of `npm run test:chaos`, in order, with their pass numbers (reliability.md, sections 1A and 1C). */
import { killIngest } from './a1-kills.js';
import { freezeIngest } from './a10-frozen.js';
import { acceptThroughFaults } from './a2-accepted.js';
import { retryPosts } from './a3-retries.js';
import { moveOffsets } from './a4-rewinds.js';
import { changePartitions } from './a5-partitions.js';
import { poisonStream } from './a7-poison.js';
import { rebalance } from './a9-rebalances.js';
import { swapVersions } from './b1-swaps.js';
import { rollBack } from './b2-rollbacks.js';
import { refuseBadCandidates } from './b3-bad-candidates.js';
import { killTrainers } from './b4-killed-trainers.js';
import { raceTrainers } from './b5-trainers-at-once.js';
import { trainBeside } from './b8-training-beside.js';
import { fillDisk } from './b9-disk-full.js';
import { restartDatabase } from './c1-database.js';
import { loseKafka } from './c4-kafka.js';
import { deployUnderLoad } from './c9-deploys.js';
import { loseOneOfThree } from './k3-brokers.js';
import { changeKeysUnderLoad } from './d3-keys.js';
import { limitRates } from './d5-limits.js';
import type { Build, ChaosContext, Verdict } from './harness/context.js';
import type { Ground } from './harness/ground.js';

export interface ChaosRun {
  readonly id: string;
  readonly title: string;
  /** The pass number, in words. */
  readonly pass: string;
  /** What is broken on purpose in the twin; null: the fault needs no build to be seen. */
  readonly twin: string | null;
  /** What the twin has to show at least; absent: one failure is enough. */
  readonly twinShows?: (verdict: Verdict) => boolean;
  /** Whether it guards every merge. */
  readonly ci: boolean;
  execute(context: ChaosContext, ground: Ground, build: Build): Promise<Verdict>;
}

const NAIVE = 'a consumer that steps states, then commits the offset to Kafka';
const measured = (name: string) => (verdict: Verdict) => Number(verdict.measures[name]) >= 1;

export const RUNS: readonly ChaosRun[] = [
  {
    ...{ id: 'A1', title: 'ingest killed while it applies', ci: true, execute: killIngest },
    pass: '0 lost, 0 doubled, 0 wrong states of 120,000; 20 kills in at most 6 min',
    twin: NAIVE,
    twinShows: measured('doubled'),
  },
  {
    ...{ id: 'A2', title: 'HTTP 202 means durable', ci: false, execute: acceptThroughFaults },
    pass: 'every id with a 202 stored once, others 0 or 1 times, of 100,000',
    twin: 'an API that answers 202 before the broker has the events',
    twinShows: measured('202 but missing'),
  },
  {
    ...{ id: 'A3', title: 'HTTP retries are harmless', ci: false, execute: retryPosts },
    pass: '0 extra of 100,000; changed body: 409 within a request, event_id_conflict across',
    twin: NAIVE,
    twinShows: measured('doubled'),
  },
  {
    ...{ id: 'A4', title: 'the group is rewound', ci: true, execute: moveOffsets },
    pass: '0 doubled by 5 rewinds (3 in CI), 0 skipped by a jump to the end, of 60,000 (24,000 in CI)',
    twin: NAIVE,
    twinShows: measured('doubled'),
  },
  {
    ...{ id: 'A5', title: 'states equal replay', ci: false, execute: changePartitions },
    pass: '0 of N users differ by more than 1e-5; 4 to 8 partitions refused with a message',
    twin: NAIVE,
  },
  {
    ...{ id: 'A7', title: 'poison in the log', ci: true, execute: poisonStream },
    pass: '99,000 of 99,000 stored (25,740 in CI), 1 % dead letters with reasons in table and topic, 0 by a database outage, others at most 5 s late',
    twin: 'a consumer that throws at what it cannot read',
  },
  {
    ...{ id: 'A9', title: 'rebalances during batches', ci: false, execute: rebalance },
    pass: '0 lost, 0 doubled, 0 wrong states; lag 0 within 30 s of the last change',
    twin: NAIVE,
    twinShows: measured('doubled'),
  },
  {
    ...{ id: 'A10', title: 'ingest frozen', ci: true, execute: freezeIngest },
    pass: '0 lost, 0 doubled in 10 rounds (2 in CI); the other goes on within 3 + 5 + 3 s',
    twin: 'no idle_in_transaction_session_timeout',
  },
  {
    ...{ id: 'B1', title: 'versions are swapped', ci: true, execute: swapVersions },
    pass: '0 mixed, 0 not 200, 0 back on a connection of 90,000 in 50 swaps (6 in CI); p99 during a swap at most 2 x steady or 20 ms',
    twin: 'weights by one look at the pointer, item vectors by another',
    twinShows: measured('mixed'),
  },
  {
    ...{ id: 'B2', title: 'versions are rolled back', ci: false, execute: rollBack },
    pass: 'served within 2 s, 0 not 200, 0 of 10 x 1,000 answers differ from those before',
    twin: 'no listening, a look every 15 s',
  },
  {
    ...{ id: 'B3', title: 'bad candidates', ci: true, execute: refuseBadCandidates },
    pass: '0 of 11 served, 11 of 11 refused, 0 not 200; p99 of the first second at most 2 x steady or 20 ms',
    twin: 'the old model let go before the next is there',
    twinShows: measured('not 200'),
  },
  {
    ...{ id: 'B4', title: 'trainers killed anywhere', ci: true, execute: killTrainers },
    pass: 'served version unchanged or fully new after 80 of 80 kills (4 in CI, one a place), 0 leftovers, next training succeeds unattended',
    twin: 'a trainer that moves the pointer before the vectors are copied',
    twinShows: measured('served broken'),
  },
  {
    ...{ id: 'B5', title: 'trainers at once', ci: true, execute: raceTrainers },
    pass: 'of 5 exactly 1 publishes in each of 20 rounds (1 in CI), 4 leave with 75 naming it; a killed one is succeeded within 5 s; a frozen one publishes 0 times',
    twin: 'trainers whose fence nobody asks for',
    twinShows: measured('published by zombies'),
  },
  {
    ...{ id: 'B8', title: 'a training beside serving', ci: false, execute: trainBeside },
    pass: 'p99 at 200 rps beside a training at most 3 x idle, 0 not 200',
    twin: 'a trainer at the priority of all others, with 8 threads',
  },
  {
    ...{ id: 'B9', title: 'the disk is full during a publish', ci: false, execute: fillDisk },
    pass: 'refused with 53100 and ENOSPC named; served version unchanged, 0 partial tables and files; the next publish is fine once there is space',
    twin: 'a publisher that leaves what it could not finish',
    twinShows: (verdict) =>
      measured('partial tables')(verdict) && measured('partial files')(verdict),
  },
  {
    ...{ id: 'C1', title: 'the database restarts', ci: false, execute: restartDatabase },
    pass: '0 process ends, failures are 503 + Retry-After, 200 again within 5 s, 0 wrong answers',
    twin: 'a pool without error handler',
    twinShows: measured('process ends'),
  },
  {
    ...{ id: 'C4', title: 'Kafka is lost', ci: false, execute: loseKafka },
    pass: 'intake 503 within 2 s, 0 false 202, recommendations 100 % 200, back within 10 s',
    twin: "kafkajs' own patience",
  },
  {
    ...{ id: 'C9', title: 'API processes are replaced', ci: false, execute: deployUnderLoad },
    pass: '0 not 2xx of 90,000 over 20 replaced processes without retries, 0 accepted events missing; a migration under load and a long transaction holds nobody up for more than 2 s',
    twin: 'processes that close their port at once',
    twinShows: measured('not 2xx'),
  },
  {
    ...{ id: 'K3', title: 'one of three brokers is lost', ci: false, execute: loseOneOfThree },
    pass: 'every id with a 202 stored once; intake stands still for at most 15 s after a kill -9',
    twin: 'an API that answers 202 before the brokers have the events',
    twinShows: measured('202 but missing'),
  },
  {
    ...{ id: 'D3', title: 'keys change under load', ci: false, execute: changeKeysUnderLoad },
    pass: '0 accepted later than 2 s after a key was revoked or downgraded, at 200 rps on 50 sockets and 2 processes',
    twin: 'an API that believes keys for 10 s',
    twinShows: measured('accepted later than 2 s'),
  },
  {
    ...{ id: 'D5', title: 'limits over two processes', ci: false, execute: limitRates },
    pass: 'admitted at most 1.05 of burst + rate in any stretch, Retry-After right within 1 s and at least 1, at most 50 MB at 10^6 keys',
    twin: 'an API whose processes count alone',
  },
];
