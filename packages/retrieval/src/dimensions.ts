/**
 * Which nested size answers a request: the one asked for, or the greatest that the tier allows.
 *
 * Only the model's own sizes are prefixes that were trained; any other width would cut a segment in two.
 */
import { DimensionNotAllowed, InvalidRequest } from '@nestrec/errors';

export interface DimRequest {
  /** What the caller asked for; undefined: the greatest size allowed. */
  readonly dim?: number | undefined;
  /** The tier's limit; null or undefined: all of the model's sizes. */
  readonly maxDim?: number | null | undefined;
}

/**
 * The size to serve, one of `sizes` (ascending).
 * @throws DimensionNotAllowed above the tier, InvalidRequest for a width the model does not have.
 */
export function resolveDim(sizes: readonly number[], request: DimRequest): number {
  const limit = request.maxDim ?? Number.POSITIVE_INFINITY;
  const allowed = sizes.filter((size) => size <= limit);
  if (request.dim === undefined) {
    const greatest = allowed.at(-1);
    if (greatest !== undefined) return greatest;
    throw new DimensionNotAllowed({
      detail: `the tier allows up to ${limit}, the published model begins at ${sizes[0]}; ask for another tier`,
    });
  }
  if (request.dim > limit) {
    throw new DimensionNotAllowed({
      detail: `got dim ${request.dim}, the tier allows up to ${limit}; ask for less or for another tier`,
      fields: [{ path: 'dim', got: String(request.dim), want: `at most ${limit}` }],
    });
  }
  if (!sizes.includes(request.dim)) {
    const want = `one of ${(allowed.length > 0 ? allowed : sizes).join(', ')}`;
    throw new InvalidRequest({
      detail: `got dim ${request.dim}, wanted ${want}`,
      fields: [{ path: 'dim', got: String(request.dim), want }],
    });
  }
  return request.dim;
}
