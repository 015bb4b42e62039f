/**
 * What an index of item vectors can be: the kind of number it holds, the measure it is walked by, and how
 * both are spelt in SQL. An index is made on an expression and every search is written with it: spelt
 * differently, no index would be used. Hence this one place for both sides.
 */
import type { IndexKind, IndexMetric } from '@nestrec/contracts';
import { InternalError } from '@nestrec/errors';
import { assertVersion, itemVectorsPrefix } from '../item-vectors.js';

export interface IndexForm {
  readonly kind: IndexKind;
  readonly metric: IndexMetric;
  /** Coordinates of the prefix. */
  readonly dim: number;
  /** Of `reduced_l2`: no shorter than any prefix; longer ones are taken to be as long. */
  readonly maxNorm?: number | undefined;
}

/** How the index is spelt. */
export interface IndexSql {
  /** What is indexed, over the table's alias `v` or without one. */
  expression(alias: 'v' | ''): string;
  readonly operatorClass: string;
  readonly operator: string;
  /** What it is compared with, made of the parameter that holds a vector of the prefix. */
  query(parameter: string): string;
}

/** Greatest prefix that HNSW takes, in coordinates. */
export const MAX_DIM: Readonly<Record<IndexKind, number>> = {
  vector: 2_000,
  halfvec: 4_000,
  bit: 64_000,
};

/** @throws InternalError for a form that does not exist */
export function indexSql(form: IndexForm, fullDim: number): IndexSql {
  const { kind, metric, dim } = form;
  const prefix = (alias: 'v' | '') => itemVectorsPrefix(dim, fullDim, alias);
  if (kind === 'bit' && metric === 'hamming') {
    return {
      expression: (alias) => `(binary_quantize(${prefix(alias)})::bit(${dim}))`,
      operatorClass: 'bit_hamming_ops',
      operator: '<~>',
      // A subquery is computed once; the bare expression would be for every row that is returned.
      query: (parameter) => `(SELECT binary_quantize(${parameter}::vector)::bit(${dim}))`,
    };
  }
  if (kind !== 'bit' && metric === 'inner_product') {
    return {
      expression: (alias) =>
        kind === 'vector' ? prefix(alias) : `(${cast(prefix(alias), kind, dim)})`,
      operatorClass: `${kind}_ip_ops`,
      operator: '<#>',
      query: (parameter) =>
        kind === 'vector'
          ? `${parameter}::vector`
          : `(SELECT ${cast(`${parameter}::vector`, kind, dim)})`,
    };
  }
  if (kind !== 'bit' && metric === 'reduced_l2') return reducedSql(form, prefix);
  throw new InternalError({ detail: `there is no index of kind ${kind} by ${metric}` });
}

/**
 * Bachrach et al., RecSys 2014: items become [x, sqrt(M^2 - |x|^2)], all of length M, the query [q, 0];
 * the nearest by distance is then the one of greatest inner product.
 */
function reducedSql(
  { kind, dim, maxNorm }: IndexForm,
  prefix: (alias: 'v' | '') => string,
): IndexSql {
  if (maxNorm === undefined || !(maxNorm > 0) || !Number.isFinite(maxNorm)) {
    throw new InternalError({ detail: `maxNorm: got ${maxNorm}, wanted a positive number` });
  }
  const squared = maxNorm ** 2;
  const whole = (vector: string) => cast(`(${vector})::vector(${dim + 1})`, kind, dim + 1);
  return {
    expression: (alias) => {
      const rest = `sqrt(greatest(0, ${squared}::float8 - vector_norm(${prefix(alias)}) ^ 2))`;
      return `(${whole(`${prefix(alias)} || ARRAY[${rest}]::real[]::vector`)})`;
    },
    operatorClass: `${kind}_l2_ops`,
    operator: '<->',
    query: (parameter) => `(SELECT ${whole(`${parameter}::vector || '[0]'::vector`)})`,
  };
}

const cast = (vector: string, kind: IndexKind, dim: number) =>
  kind === 'halfvec' ? `${vector}::halfvec(${dim})` : vector;

const METRIC_SUFFIX: Readonly<Record<IndexMetric, string>> = {
  inner_product: '',
  reduced_l2: 'l',
  hamming: '',
};
const KIND_SUFFIX: Readonly<Record<IndexKind, string>> = { vector: '', halfvec: 'h', bit: 'b' };

/** The index's name, unquoted; at most 63 bytes for any version. */
export function indexName(
  version: string,
  form: Pick<IndexForm, 'kind' | 'metric' | 'dim'>,
): string {
  assertVersion(version);
  return `iv_${version}_${form.dim}${KIND_SUFFIX[form.kind]}${METRIC_SUFFIX[form.metric]}`;
}
