/**
 * Says how a list was found: the plan, and what the database did, by running the statement once more under
 * EXPLAIN ANALYZE. Only sums leave here: names of stages, rows and times; no SQL, no vector, no item.
 */
import type { Explain, TierPlan } from '@nestrec/contracts';
import type { Queryable } from '@nestrec/database';
import type { Statement } from '@nestrec/storage';
import type { PlannedSearch } from './planner.js';

export interface AboutSearch {
  readonly wanted: TierPlan;
  readonly dim: number;
  readonly attempt: PlannedSearch;
  readonly tried: Explain['tried'];
  readonly searchMs: number;
}

/** What of EXPLAIN's nodes is read. */
interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Subplan Name'?: string;
  readonly Alias?: string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Actual Loops': number;
  readonly 'Actual Total Time': number;
  readonly 'Rows Removed by Filter'?: number;
  readonly Plans?: readonly PlanNode[];
}

export async function explainSearch(
  db: Queryable,
  statement: Statement,
  { wanted, dim, attempt, tried, searchMs }: AboutSearch,
): Promise<Explain> {
  const root = await analyze(db, statement);
  const { plan, reason, by } = attempt;
  const index = by && { kind: by.index.kind, metric: by.index.metric, dim: by.index.dim };
  const dims = by === null || by.index.dim === dim ? [dim] : [by.index.dim, dim];
  return {
    ...{ wanted, plan, reason, index, dims, tried: [...tried], search_ms: round(searchMs) },
    shortlist: by?.shortlist ?? null,
    ef_search: by?.efSearch ?? null,
    proven: plan === 'exact' || plan === 'bound',
    stages: stagesOf(root),
    rows_looked_at: vectorRows(root),
  };
}

/** EXPLAIN's tree for a statement, executed. */
export async function analyze(db: Queryable, statement: Statement): Promise<PlanNode> {
  /* eslint-disable no-restricted-syntax -- a statement of ours, with its parameters beside it */
  const { rows } = await db.query<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (ANALYZE, FORMAT JSON) ${statement.text}`,
    statement.params,
  );
  /* eslint-enable no-restricted-syntax */
  return rows[0]!['QUERY PLAN'][0].Plan;
}

/** Every named part of the statement, in the order in which they are computed, and the whole. */
function stagesOf(root: PlanNode): Explain['stages'] {
  const stages: Explain['stages'] = [];
  for (const node of nodesOf(root)) {
    const name = /^CTE (\w+)$/.exec(node['Subplan Name'] ?? '')?.[1];
    if (name !== undefined) stages.push(stage(name, node));
  }
  return [...stages, stage('answer', root)];
}

const stage = (name: string, node: PlanNode) => ({
  name,
  rows: Math.round(node['Actual Rows'] * node['Actual Loops']),
  ms: round(node['Actual Total Time'] * node['Actual Loops']),
});

/** Rows read of the table of vectors, whose alias is `v`, those that were refused included. */
function vectorRows(root: PlanNode): number {
  let rows = 0;
  for (const node of nodesOf(root)) {
    if (node['Relation Name'] === undefined || !/^v(_\d+)?$/.test(node.Alias ?? '')) continue;
    rows += (node['Actual Rows'] + (node['Rows Removed by Filter'] ?? 0)) * node['Actual Loops'];
  }
  return Math.round(rows);
}

function* nodesOf(node: PlanNode): Generator<PlanNode> {
  for (const child of node.Plans ?? []) yield* nodesOf(child);
  yield node;
}

const round = (ms: number) => Math.round(ms * 1_000) / 1_000;
