/**
 * What the quality gate is told of a candidate: means and intervals over its test cases, beside popularity
 * and beside the published model, in place of the cases themselves.
 *
 * Judges nothing: what is good enough is publishing's to say.
 */
import type { Estimate, Evaluation, SizeComparison } from '@nestrec/contracts';
import type { EvaluationCases, SplitReport } from '@nestrec/dataset';
import { gainOfRank, groupedBootstrap, type MeanInterval } from '@nestrec/evaluation';
import type { Random } from '@nestrec/random';
import type { ServedRanks } from './rank-among-served.js';
import type { ScorerRanks } from './report.js';

const CUTOFF = 10;

/** The published model on the candidate's cases, with seen items left out. */
export interface PublishedRanks extends ServedRanks {
  readonly version: string;
  readonly sizes: readonly number[];
  /** Cases that it was not trained on, ascending. */
  readonly unseen: Int32Array;
}

export interface SummaryInput {
  readonly split: Pick<SplitReport, 'protocol' | 'validationFromMs' | 'testFromMs'>;
  readonly cases: EvaluationCases;
  /** Of the test cases: the candidate's and popularity's at least. */
  readonly ranks: readonly ScorerRanks[];
  readonly published: PublishedRanks | null;
  readonly random: Random;
}

/** Null where there is no case to ask. */
export function summariseEvaluation(input: SummaryInput): Evaluation | null {
  const { split, cases, published } = input;
  if (cases.target.length === 0) return null;
  const time = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString());
  const compared = published?.unseen ?? new Int32Array(0);
  return {
    protocol: split.protocol,
    validationFrom: time(split.validationFromMs),
    testFrom: time(split.testFromMs),
    cases: cases.target.length,
    users: new Set(cases.user).size,
    against: published?.version ?? null,
    comparedCases: compared.length,
    comparedUsers: new Set(compared.map((c) => cases.user[c]!)).size,
    ...compareOutputs(input),
  };
}

/** NDCG@10 of each case. */
const gains = (ranks: Int32Array) => Float64Array.from(ranks, (rank) => gainOfRank(rank, CUTOFF));
const hits = (ranks: Int32Array) => Float64Array.from(ranks, (rank) => Number(rank <= CUTOFF));
const minus = (a: Float64Array, b: Float64Array) => a.map((value, i) => value - b[i]!);
const estimate = ({ mean, low, high }: MeanInterval): Estimate => ({ mean, low, high });

/** Ranks at one size, at full depth or at an early exit. */
interface SizeRanksOf {
  readonly dim: number;
  readonly masked: Int32Array;
}

/** Of both models: by size, what they are served by. */
interface Outputs {
  readonly own: readonly SizeRanksOf[];
  readonly other: readonly SizeRanksOf[];
}

/** At full depth, and for tiers that ask for an exit that either model has. */
function compareOutputs(input: SummaryInput): Pick<Evaluation, 'sizes' | 'exits'> {
  const { ranks, published } = input;
  const own = ranks.flatMap(({ scorer, dim, masked, blocks }) =>
    dim !== null && (blocks !== undefined || scorer.startsWith('model@'))
      ? [{ dim, masked, blocks: blocks ?? null }]
      : [],
  );
  const other = [
    ...sized(published?.sizes ?? [], published?.masked ?? [], null),
    ...(published?.exits ?? []).flatMap((exit) =>
      sized(published!.sizes, exit.masked, exit.blocks),
    ),
  ];
  const exits = [...new Set([...own, ...other].flatMap(({ blocks }) => blocks ?? []))];
  const served = (blocks: number | null): Outputs => ({
    own: servedAt(own, blocks),
    other: servedAt(other, blocks),
  });
  const sizes = compareSizes(input, served(null));
  if (exits.length === 0) return { sizes };
  return {
    sizes,
    exits: exits
      .sort((a, b) => a - b)
      .map((blocks) => ({ blocks, sizes: compareSizes(input, served(blocks)) })),
  };
}

type RanksAt = SizeRanksOf & { readonly blocks: number | null };

const sized = (
  sizes: readonly number[],
  masked: readonly Int32Array[],
  blocks: number | null,
): RanksAt[] => masked.map((ranks, k) => ({ dim: sizes[k]!, masked: ranks, blocks }));

/** By size, the exit after `blocks` blocks where there is one, else the full depth. */
function servedAt(ranks: readonly RanksAt[], blocks: number | null): SizeRanksOf[] {
  const full = ranks.filter((one) => one.blocks === null);
  return full.map(
    (row) => ranks.find((one) => one.blocks === blocks && one.dim === row.dim) ?? row,
  );
}

function compareSizes(
  { cases, ranks, published, random }: SummaryInput,
  outputs: Outputs,
): SizeComparison[] {
  const own = outputs.own.map((row) => ({ ...row, gain: gains(row.masked) }));
  const popular = gains(ranks.find(({ scorer }) => scorer === 'popularity')!.masked);
  const uniform = () => random.uniform();
  const estimates = groupedBootstrap(
    own.flatMap(({ gain, masked }) => [gain, hits(masked), minus(gain, popular)]),
    cases.user,
    { uniform },
  ).map(estimate);
  const popularity = popular.reduce((sum, gain) => sum + gain, 0) / popular.length;
  const dims = (rows: readonly SizeRanksOf[]) => rows.map(({ dim }) => dim);
  const rows = pairsOf(dims(own), dims(outputs.other));
  const unseen = published?.unseen ?? new Int32Array(0);
  const differences = comparePairs(rows, { ...outputs, own }, unseen, cases, uniform);
  return rows.map(({ limit, own: k, other }, i) => ({
    limit,
    dim: k < 0 ? null : own[k]!.dim,
    publishedDim: other < 0 ? null : outputs.other[other]!.dim,
    ndcg10: k < 0 ? null : estimates[3 * k]!,
    recall10: k < 0 ? null : estimates[3 * k + 1]!,
    popularity: k < 0 ? null : popularity,
    overPopularity: k < 0 ? null : estimates[3 * k + 2]!,
    ...differences[i]!,
  }));
}

/** Per limit that changes anything, the place of the greatest size of either model within it (-1: none). */
function pairsOf(own: readonly number[], other: readonly number[]) {
  const limits = [...new Set([...own, ...other])].sort((a, b) => a - b);
  return limits.map((limit) => ({
    limit,
    own: own.findLastIndex((size) => size <= limit),
    other: other.findLastIndex((size) => size <= limit),
  }));
}

function comparePairs(
  rows: readonly { own: number; other: number }[],
  { own, other }: { own: readonly { gain: Float64Array }[]; other: readonly SizeRanksOf[] },
  unseen: Int32Array,
  cases: EvaluationCases,
  uniform: () => number,
): Pick<SizeComparison, 'published' | 'overPublished'>[] {
  const pick = (values: Float64Array) => Float64Array.from(unseen, (c) => values[c]!);
  const columns = rows.map((row) => {
    if (row.own < 0 || row.other < 0 || unseen.length === 0) return null;
    const theirs = pick(gains(other[row.other]!.masked));
    return { theirs, difference: minus(pick(own[row.own]!.gain), theirs) };
  });
  const usable = columns.filter((column) => column !== null);
  const estimates =
    usable.length === 0
      ? []
      : groupedBootstrap(
          usable.map(({ difference }) => difference),
          unseen.map((c) => cases.user[c]!),
          { uniform },
        ).map(estimate);
  return columns.map((column) => {
    if (column === null) return { published: null, overPublished: null };
    const mean = column.theirs.reduce((sum, gain) => sum + gain, 0) / column.theirs.length;
    return { published: mean, overPublished: estimates[usable.indexOf(column)]! };
  });
}
