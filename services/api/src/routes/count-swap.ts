/** Counts a move of the published pointer by how it ended. */
import { isError, PublishConflict, PublishRefused } from '@nestrec/errors';
import type { ApiMetrics } from '../http/api-metrics.js';

export async function countSwap<T>(
  { modelSwaps }: ApiMetrics,
  done: 'rolled_back',
  swap: () => Promise<T>,
): Promise<T> {
  try {
    const result = await swap();
    modelSwaps.inc({ result: done });
    return result;
  } catch (error) {
    const isRefusal = isError(error, PublishRefused) || isError(error, PublishConflict);
    modelSwaps.inc({ result: isRefusal ? 'refused' : 'failed' });
    throw error;
  }
}
