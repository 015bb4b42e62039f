/** Programs run by the test helpers: to their end, with their output, without a shell. */
import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { promisify } from 'node:util';

const execute = promisify(execFile);

export interface RunOptions {
  readonly timeoutMs?: number;
  readonly cwd?: string;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Standard output as it comes, in pieces. */
  readonly onOutput?: (text: string) => void;
}

/** Runs a program; resolves with its standard output, rejects with its last words. */
export async function run(
  file: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  try {
    const running = execute(file, [...args], {
      timeout: options.timeoutMs ?? 120_000,
      maxBuffer: 16 * 1024 * 1024,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
    });
    if (options.onOutput !== undefined) running.child.stdout?.on('data', options.onOutput);
    return (await running).stdout;
  } catch (error) {
    const { stderr = '', message } = error as { stderr?: string; message: string };
    throw new Error(`${file}: ${stderr.trim().slice(-600) || message}`, { cause: error });
  }
}

/** Whether the program starts and ends well. */
export async function runs(file: string, args: readonly string[]): Promise<boolean> {
  return run(file, args, { timeoutMs: 10_000 }).then(
    () => true,
    () => false,
  );
}

/** Binds a port for a moment (0: whichever is free) and returns it; rejects when it is taken. */
async function bind(wanted: number): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(wanted, '127.0.0.1', resolve);
  });
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** A TCP port on loopback that is free now. */
export const freePort = (): Promise<number> => bind(0);

const LASTING_PORTS = { from: 20_000, below: 32_000 };

/**
 * A free port below those that the system gives to outgoing connections: a server that is killed and
 * started again finds it free, even while its clients keep dialling.
 */
export async function lastingPort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await bind(randomInt(LASTING_PORTS.from, LASTING_PORTS.below)).catch(() => null);
    if (port !== null) return port;
  }
  throw new Error(`found no free port from ${LASTING_PORTS.from} to ${LASTING_PORTS.below}`);
}

/** Start tick of a process, which tells it from a later one with its pid; null when it is gone. */
export function processStart(pid: number): string | null {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return status.slice(status.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
