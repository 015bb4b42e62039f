/**
 * docker-compose.yml as Compose reads it, for the tests that hold it to the code: parsed, merged, and with
 * `${NAME:-default}` and `${NAME:?message}` filled in. Knows the few fields that are asked for.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';

const FILE = fileURLToPath(new URL('../../docker-compose.yml', import.meta.url));
const REFERENCE = /\$\{([A-Z_]+)(?:(:-|:\?)([^}]*))?\}/g;

const serviceSchema = z.looseObject({
  image: z.string(),
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  user: z.string().optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number(), z.null()])),
  ports: z.array(z.string()).default([]),
  expose: z.array(z.string()).default([]),
  volumes: z.array(z.string()),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  cap_drop: z.array(z.string()),
  security_opt: z.array(z.string()),
  read_only: z.boolean().default(false),
  mem_limit: z.string(),
  pids_limit: z.number(),
  stop_grace_period: z.string(),
  restart: z.string(),
  logging: z.object({ driver: z.string(), options: z.record(z.string(), z.string()) }),
});

export type ComposeService = z.infer<typeof serviceSchema>;

const fileSchema = z.looseObject({
  services: z.object({
    postgres: serviceSchema,
    kafka: serviceSchema,
    api: serviceSchema,
    ingest: serviceSchema,
    trainer: serviceSchema,
  }),
  volumes: z.record(z.string(), z.null()),
});

export type ComposeFile = z.infer<typeof fileSchema>;

/** Names of the variables that the file takes from .env, with what each stands for when it is not set. */
export function composeVariables(): ReadonlyMap<string, { readonly default: string | null }> {
  const found = new Map<string, { readonly default: string | null }>();
  const note = (name: string, value: string | null) => {
    if (!found.has(name)) found.set(name, { default: value });
  };
  const file = fill(parsed(), (name, value) => {
    note(name, value);
    return value ?? '';
  });
  for (const { environment } of Object.values(fileSchema.parse(file).services)) {
    for (const [name, value] of Object.entries(environment)) if (value === null) note(name, null);
  }
  return found;
}

/** @throws Error where a variable without a default is not in `env` */
export function readCompose(env: Readonly<Record<string, string>>): ComposeFile {
  return fileSchema.parse(
    fill(parsed(), (name, byDefault) => {
      const value = env[name] ?? byDefault;
      if (value === null) throw new Error(`docker-compose.yml wants ${name}`);
      return value;
    }),
  );
}

/** What a process finds in its environment; a variable without a value is absent unless .env has it. */
export function environmentOf(service: ComposeService): Record<string, string> {
  return Object.fromEntries(
    Object.entries(service.environment)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => [name, String(value)]),
  );
}

const parsed = (): unknown => parse(readFileSync(FILE, 'utf8'), { merge: true });

/** A copy of a YAML value with the references in its texts replaced; a reference without a default has null. */
function fill(value: unknown, of: (name: string, byDefault: string | null) => string): unknown {
  if (typeof value === 'string') {
    return value.replace(REFERENCE, (_, name: string, kind: string, rest: string) =>
      of(name, kind === ':-' ? rest : null),
    );
  }
  if (Array.isArray(value)) return value.map((entry) => fill(entry, of));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fill(entry, of)]));
}
