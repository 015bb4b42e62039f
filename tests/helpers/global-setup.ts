/**
 * Before the contract and integration tests: one PostgreSQL server with a migrated template, shared by all
 * their files and gone at the end. The last line says what was used, or what was skipped and why.
 */
import type { TestProject } from 'vitest/node';
import { findPostgres } from './postgres-source.js';
import { createTemplate } from './postgres-template.js';

export interface ProvidedPostgres {
  /** Of an administrative database; null when there is no server. */
  readonly url: string | null;
  /** Name of the database to clone. */
  readonly template: string;
  /** Why there is none, and what would help; empty otherwise. */
  readonly reason: string;
}

declare module 'vitest' {
  export interface ProvidedContext {
    postgres: ProvidedPostgres;
  }
}

interface Shared {
  readonly provided: ProvidedPostgres;
  readonly line: string;
  stop(): Promise<void>;
}

/** Vitest runs this once per project, in one process: the server is shared and counted. */
const state = globalThis as { nestrecPostgres?: { users: number; shared: Promise<Shared> } };

async function start(): Promise<Shared> {
  const source = await findPostgres();
  if (source.url === null) {
    if (process.env['NESTREC_REQUIRE_SERVICES'] === '1') throw new Error(source.reason);
    return {
      provided: { url: null, template: '', reason: source.reason },
      line: `services: SKIPPED every suite on PostgreSQL: ${source.reason}`,
      stop: async () => {},
    };
  }
  try {
    const template = await createTemplate(source.url);
    return {
      provided: { url: source.url, template: template.name, reason: '' },
      line: `services: PostgreSQL from ${source.origin}; nothing skipped`,
      stop: async () => {
        await template.drop();
        await source.stop();
      },
    };
  } catch (error) {
    await source.stop();
    throw error;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const entry = (state.nestrecPostgres ??= { users: 0, shared: start() });
  entry.users++;
  const shared = await entry.shared;
  project.provide('postgres', shared.provided);
  return async () => {
    if (--entry.users > 0) return;
    delete state.nestrecPostgres;
    await shared.stop();
    console.log(shared.line);
  };
}
