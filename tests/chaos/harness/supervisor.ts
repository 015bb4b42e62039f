/**
 * Real processes under a supervisor: started, killed, frozen, thawed, started again. Keeps what
 * they print, and counts the ends that nobody asked for. Knows nothing of what they do.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { waitFor } from '../../helpers/wait-for.js';
import { launchProcess, type LaunchedProcess } from './launched-process.js';

export interface ProcessSpec {
  readonly name: string;
  /** A TypeScript file; what was built of it where that is current. */
  readonly program: URL;
  readonly env: Readonly<Record<string, string>>;
  /** A line that says that it works; null: it works as soon as it runs. */
  readonly readyLine: RegExp | null;
  /** Start it again when it ends by itself, as an orchestrator would. */
  readonly keepAlive?: boolean;
}

export interface Supervised {
  readonly name: string;
  readonly pid: number;
  /** Ends that nobody asked for. */
  readonly unexpectedExits: number;
  readonly starts: number;
  /** Starts it; resolves once it says that it is ready. */
  start(): Promise<void>;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>;
  /** SIGSTOP: the process keeps its sockets and says nothing. */
  freeze(): void;
  /** SIGCONT. */
  thaw(): void;
  /** What all its lives have printed. */
  output(): string;
}

const READY_TIMEOUT_MS = 60_000;
const RESTART_PAUSE_MS = 500;
const STOP_TIMEOUT_MS = 40_000;

/** Prepares a process; nothing runs before `start`. */
export function supervise(spec: ProcessSpec, note: (text: string) => void): Supervised {
  let current: LaunchedProcess | null = null;
  let wanted = false;
  let starts = 0;
  let unexpectedExits = 0;
  let past = '';

  const launch = async (): Promise<void> => {
    const launched = launchProcess(spec);
    current = launched;
    starts += 1;
    void launched.ended.then((code) => ended(launched, code));
    if (spec.readyLine !== null) await launched.ready(spec.readyLine, READY_TIMEOUT_MS);
  };
  const ended = (one: LaunchedProcess, code: number | null) => {
    past += one.output();
    if (current !== one) return;
    current = null;
    if (!wanted) return;
    unexpectedExits += 1;
    note(`${spec.name} ended by itself (code ${code})`);
    if (spec.keepAlive) void relaunch();
  };
  const relaunch = async () => {
    await sleep(RESTART_PAUSE_MS);
    if (!wanted || current !== null) return;
    // Its own end, if it ends again, starts the next.
    await launch().catch(() => undefined);
  };
  const signal = (name: NodeJS.Signals) => current?.kill(name);
  const end = async (name: NodeJS.Signals): Promise<number | null> => {
    wanted = false;
    const one = current;
    if (one === null) return null;
    one.kill(name);
    const code = await Promise.race([
      one.ended,
      sleep(STOP_TIMEOUT_MS, 'late' as const, { ref: false }),
    ]);
    if (code !== 'late') return code;
    one.kill('SIGKILL');
    throw new Error(
      `${spec.name} did not end within ${STOP_TIMEOUT_MS} ms:\n${tail(one.output())}`,
    );
  };

  return {
    name: spec.name,
    get pid() {
      return current?.pid ?? -1;
    },
    get unexpectedExits() {
      return unexpectedExits;
    },
    get starts() {
      return starts;
    },
    start: async () => {
      wanted = true;
      if (current === null) await launch();
    },
    kill: async () => {
      await end('SIGKILL');
    },
    stop: () => end('SIGTERM'),
    freeze: () => void signal('SIGSTOP'),
    thaw: () => void signal('SIGCONT'),
    output: () => past + (current?.output() ?? ''),
  };
}

export const tail = (text: string, characters = 1_500): string => text.slice(-characters);

/** Waits for a condition of a run that takes long; polls less often than tests do. */
export async function eventually<T>(
  what: string,
  condition: () => T | Promise<T>,
  timeoutMs: number,
): Promise<NonNullable<T>> {
  return waitFor(
    what,
    async () => {
      const value = await condition();
      if (!value) await sleep(50);
      return value;
    },
    timeoutMs,
  );
}

/** The same, for a broken build that may never come to it: false once `state` has not changed for a while. */
export async function eventuallyOrStuck(
  condition: () => boolean,
  state: () => string | number,
  stuckMs: number,
): Promise<boolean> {
  let before = state();
  let movedAtMs = performance.now();
  while (!condition()) {
    const now = state();
    if (now !== before) movedAtMs = performance.now();
    before = now;
    if (performance.now() - movedAtMs > stuckMs) return false;
    await sleep(50);
  }
  return true;
}
