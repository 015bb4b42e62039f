/**
 * Lists the fused operations that ran natively and how long they took: beside TensorFlow.js' own `tf.profile`, which
 * lists the kernels that ran through its engine, this is where the time of a step went.
 */

export interface TracedOperation {
  readonly name: string;
  readonly ms: number;
}

let trace: TracedOperation[] | null = null;

/** Runs `work`, and notes it where somebody is tracing. */
export function traced<T>(name: string, work: () => T): T {
  if (trace === null) return work();
  const startedMs = performance.now();
  const result = work();
  trace.push({ name, ms: performance.now() - startedMs });
  return result;
}

/** The native operations that `work` runs, in order. */
export function traceOperations(work: () => void): readonly TracedOperation[] {
  const outer = trace;
  const mine: TracedOperation[] = [];
  trace = mine;
  try {
    work();
  } finally {
    trace = outer;
  }
  return mine;
}
