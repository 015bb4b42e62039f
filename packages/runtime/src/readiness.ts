/**
 * Readiness: named checks with a time limit, each verdict kept for a moment, and a gate that the process
 * holds closed until it has done what it must do before the first request.
 */
import type { Clock } from './clock.js';
import type { Logger } from './logger.js';

/**
 * Resolves where the next request finds what it needs, to a note where operators should know something
 * about it; the note is shown to anybody. Throws where it does not.
 */
export type ReadinessCheck = () => Promise<string | void>;

export interface ReadinessGate {
  /** Null when open; else why not. */
  readonly closedBecause: string | null;
  open(): void;
  close(reason: string): void;
}

/** @param reason why it starts closed; absent: it starts open. */
export function createReadinessGate(reason: string | null = null): ReadinessGate {
  let closedBecause = reason;
  return {
    get closedBecause() {
      return closedBecause;
    },
    open: () => {
      closedBecause = null;
    },
    close: (why) => {
      closedBecause = why;
    },
  };
}

export interface Verdict {
  readonly ok: boolean;
  readonly detail: string;
}

/** Runs all checks at once; each verdict is kept for `cacheMs`, so that probes cost nothing. */
export function createReadiness(options: {
  readonly checks: Readonly<Record<string, ReadinessCheck>>;
  readonly gate: ReadinessGate;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly cacheMs: number;
  /** Told once when a check begins to fail, with the reason, and once when it is well again. */
  readonly logger?: Logger;
}): () => Promise<Record<string, Verdict>> {
  const failing = new Set<string>();
  const report = (check: string, error: unknown) => {
    if (error === null) {
      if (failing.delete(check)) options.logger?.info({ check }, 'ready again');
    } else if (!failing.has(check)) {
      failing.add(check);
      options.logger?.warn({ err: error, check }, 'not ready');
    }
  };
  const kept = new Map<string, { untilMs: number; verdict: Promise<Verdict> }>();
  const verdictOf = (name: string, check: ReadinessCheck): Promise<Verdict> => {
    const nowMs = options.clock.now();
    const known = kept.get(name);
    if (known !== undefined && nowMs < known.untilMs) return known.verdict;
    const verdict = judge(check, options.timeoutMs, (error) => report(name, error));
    kept.set(name, { untilMs: nowMs + options.cacheMs, verdict });
    return verdict;
  };
  return async () => {
    const { closedBecause } = options.gate;
    const verdicts: Record<string, Verdict> = {
      gate: { ok: closedBecause === null, detail: closedBecause ?? 'open' },
    };
    const names = Object.keys(options.checks);
    const found = await Promise.all(names.map((name) => verdictOf(name, options.checks[name]!)));
    names.forEach((name, i) => {
      verdicts[name] = found[i]!;
    });
    return verdicts;
  };
}

async function judge(
  check: ReadinessCheck,
  timeoutMs: number,
  report: (error: unknown) => void,
): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<Verdict>((resolve) => {
    const detail = `no answer within ${timeoutMs} ms`;
    timer = setTimeout(() => {
      report(new Error(detail));
      resolve({ ok: false, detail });
    }, timeoutMs);
  });
  // The cause stays inside: a probe is open to anybody, so it must not carry addresses or SQL.
  const answer = check().then(
    (note) => {
      report(null);
      return { ok: true, detail: note ?? 'ok' };
    },
    (error: unknown) => {
      report(error ?? new Error('no reason given'));
      return { ok: false, detail: 'the check failed; see the log of the process' };
    },
  );
  try {
    return await Promise.race([answer, limit]);
  } finally {
    clearTimeout(timer);
  }
}
