/**
 * A process under test: its lines as they come, conditions to wait for, and an end that leaves nothing.
 *
 * It leads a process group of its own, so that `kill` reaches whatever it started.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createServer } from 'node:net';
import { fileURLToPath } from 'node:url';

export const repositoryRoot = fileURLToPath(new URL('../../', import.meta.url));

export interface StartedProcess {
  readonly child: ChildProcess;
  /** Everything printed so far, both streams, in order of arrival. */
  output(): string;
  /** Resolves with the first line that matches; rejects, with the output, if the process ends before. */
  waitForLine(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray>;
  /** Resolves with the exit code (null when a signal ended it). */
  ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
}

export function startProcess(
  command: string,
  args: readonly string[],
  env: Record<string, string>,
): StartedProcess {
  const child = spawn(command, args, {
    cwd: repositoryRoot,
    env: { ...withoutOurs(process.env), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let text = '';
  const watchers = new Set<() => void>();
  const notify = () => watchers.forEach((watcher) => watcher());
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      notify();
    });
  }
  let over = false;
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      over = true;
      resolve(code);
      notify();
    });
  });
  return {
    child,
    output: () => text,
    ended,
    kill: (signal) => {
      try {
        process.kill(-child.pid!, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    },
    waitForLine: (pattern, timeoutMs) =>
      new Promise((resolve, reject) => {
        const finish = (settle: () => void) => {
          clearTimeout(timer);
          watchers.delete(look);
          settle();
        };
        const look = () => {
          const match = pattern.exec(text);
          if (match !== null) finish(() => resolve(match));
          else if (over) finish(() => reject(new Error(`ended before ${pattern}:\n${text}`)));
        };
        const timer = setTimeout(
          () => finish(() => reject(new Error(`no ${pattern} within ${timeoutMs} ms:\n${text}`))),
          timeoutMs,
        );
        watchers.add(look);
        look();
      }),
  };
}

/** The caller's environment without settings of ours, which a test sets itself; what is built stays known. */
function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const ours = /^(NESTREC_(?!CHILDREN$).*|DATABASE_URL|KAFKA_BROKERS|PORT|HOST)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !ours.test(name)));
}

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
