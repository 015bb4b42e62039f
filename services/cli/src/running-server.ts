/**
 * The server that holds the embedded data folder, as commands find it: `server.json` beside the data,
 * readable by its owner only, with its address and an administration key that lives as long as it does.
 *
 * Two processes on one embedded database would corrupt it; commands that need keys or versions ask the
 * server instead.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  DataFolderInUse,
  errorCatalogue,
  InternalError,
  isError,
  NestrecError,
} from '@nestrec/errors';
import { problemSchema } from '@nestrec/contracts';
import { writeFileAtomic } from '@nestrec/runtime';
import { z } from 'zod';
import type { CliConfig } from './settings.js';
import { dataFolders, withPlatform, type Platform } from './platform.js';

const OWNER_ONLY = 0o600;

const serverFileSchema = z.strictObject({
  pid: z.number().int(),
  url: z.url(),
  adminKey: z.string(),
});
type ServerFile = z.infer<typeof serverFileSchema>;

const serverFilePath = (root: string) => join(root, 'server.json');

export async function announceServer(root: string, server: Omit<ServerFile, 'pid'>): Promise<void> {
  await writeFileAtomic(
    serverFilePath(root),
    `${JSON.stringify({ pid: process.pid, ...server })}\n`,
    { mode: OWNER_ONLY },
  );
}

export async function withdrawServer(root: string): Promise<void> {
  await rm(serverFilePath(root), { force: true });
}

/**
 * Refuses what the API cannot be asked for, rather than doing less than was said.
 * @throws DataFolderInUse
 */
export function refuseRemotely(options: Record<string, unknown>): void {
  const given = Object.keys(options).filter((name) => options[name] !== undefined);
  if (given.length === 0) return;
  throw new DataFolderInUse({
    detail: `A running server holds it, and it cannot be asked for ${given.join(' and ')}. Stop the server, run this again, and start it; or leave the option out.`,
  });
}

/** Sends a request with the administration key and gives the parsed answer. */
export type AdminRequest = <T>(
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  answer: z.ZodType<T>,
  body?: unknown,
) => Promise<T>;

/**
 * Runs `direct` on the database, or `remote` through the running server where that one holds it.
 * @throws DataFolderInUse where a process without an API (a training, an import) holds the folder
 */
export async function directOrRemote<T>(
  config: CliConfig,
  direct: (platform: Platform) => Promise<T>,
  remote: (request: AdminRequest) => Promise<T>,
): Promise<T> {
  try {
    return await withPlatform(config, direct);
  } catch (error) {
    if (!isError(error, DataFolderInUse)) throw error;
    const server = await findServer(config);
    if (server === null) throw error;
    return remote(adminRequest(server, error));
  }
}

/** The server that holds the data folder, or null where something else or nothing does. */
export async function findServer(config: CliConfig): Promise<ServerFile | null> {
  const folders = dataFolders(config);
  const server = await readServerFile(folders.root);
  // A killed server leaves its file; whoever has its port now must not get its key.
  return server !== null && server.pid === (await lockHolder(folders.database)) ? server : null;
}

async function lockHolder(database: string): Promise<number | null> {
  try {
    const text = await readFile(`${database}.lock`, 'utf8');
    return z.looseObject({ pid: z.number() }).parse(JSON.parse(text)).pid;
  } catch {
    return null;
  }
}

async function readServerFile(root: string): Promise<ServerFile | null> {
  try {
    const text = await readFile(serverFilePath(root), 'utf8');
    return serverFileSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Requests to `server`; one that does not answer is starting or stopping: `inUse` says who it is. */
function adminRequest(server: ServerFile, inUse: NestrecError): AdminRequest {
  return async (method, path, answer, body) => {
    const response = await fetch(new URL(path, server.url), {
      method,
      headers: {
        authorization: `Bearer ${server.adminKey}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).catch((cause: unknown) => {
      throw new DataFolderInUse({
        detail: `${inUse.detail ?? ''}. It is a server that does not answer at ${server.url}: it starts or stops just now, try again.`,
        cause,
      });
    });
    const parsed: unknown = response.status === 204 ? {} : await response.json();
    if (response.ok) return answer.parse(parsed);
    throw fromProblem(parsed);
  };
}

/** The server's error as if it had been raised here. */
export function fromProblem(body: unknown): NestrecError {
  const problem = problemSchema.safeParse(body);
  if (!problem.success) return new InternalError({ detail: 'the server gave no readable answer.' });
  const { code, title, detail, status, errors } = problem.data;
  const known = errorCatalogue.find((entry) => entry.code === code)?.traits;
  return new NestrecError(
    code,
    { exitCode: 1, retryable: false, ...known, status, publicMessage: title, detailIsPublic: true },
    { detail, fields: errors },
  );
}
