/**
 * Documents that say what the code says: generated ones are compared with the code (renew them by
 * `npm test -- --project unit documents -u`), and links between documents lead somewhere.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { apiConfig } from '@nestrec/api';
import { ingestConfig } from '@nestrec/ingest';
import { cliSettings } from '@nestrec/cli';
import { deadLetterSchema, logEventSchema } from '@nestrec/contracts';
import { errorCatalogue } from '@nestrec/errors';
import { REJECT_REASONS } from '@nestrec/ingest';
import { envExample, loadConfig } from '@nestrec/runtime';
import { trainerConfig } from '@nestrec/trainer';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const root = fileURLToPath(new URL('../../', import.meta.url));

function markdownFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    if (entry.name.startsWith('.') || entry.name === 'node_modules') return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return markdownFiles(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

function renderErrors(): string {
  const rows = [...errorCatalogue]
    .sort((a, b) => a.traits.status - b.traits.status || (a.code < b.code ? -1 : 1))
    .map(
      ({ code, traits: t }) =>
        `| \`${code}\` | ${t.status} | ${t.exitCode} | ${t.retryable ? 'yes' : 'no'} | ${t.publicMessage} |`,
    );
  return `# Errors

Every error that nestrec raises on purpose. Branch on \`code\` and \`retryable\`, never on texts. Over HTTP an error is \`application/problem+json\`: \`{"type","title","status","code","detail","errors":[{"path","got","want"}],"request_id"}\`; \`detail\` and \`errors\` say what was got, what was wanted and what to do. The command line prints the same and ends with the exit code (0 ok, 1 failure, 2 usage, 64 to 78 as in sysexits.h, 130 interrupted).

Generated from \`packages/errors/src/catalogue.ts\`; a test holds the two equal.

| code | HTTP status | exit code | retryable | text |
|---|---|---|---|---|
${rows.join('\n')}
`;
}

/** A JSON Schema file for producers and consumers in other languages. */
function renderSchema(schema: z.ZodType, about: Record<string, string>): string {
  const { $schema, ...body } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  return `${JSON.stringify({ $schema, ...about, ...body }, null, 2)}\n`;
}

describe('documents', () => {
  it('docs/errors.md lists the error catalogue, no more and no less', async () => {
    expect(new Set(errorCatalogue.map((e) => e.code)).size).toBe(errorCatalogue.length);
    await expect(renderErrors()).toMatchFileSnapshot('../../docs/errors.md');
  });

  it('.env.example lists every setting with its default', async () => {
    const head =
      '# Settings of nestrec. Copy to .env, or set them in the environment; all are optional.\n\n';
    await expect(
      head +
        envExample({
          ...cliSettings,
          operationsPort: ingestConfig.operationsPort,
          trainerPort: trainerConfig.trainerPort,
        }),
    ).toMatchFileSnapshot('../../.env.example');
  });

  it('docs/schemas holds the JSON Schemas of what the topics hold', async () => {
    const event = renderSchema(logEventSchema, {
      $id: 'urn:nestrec:interactions:1',
      title: 'Record of the topic interactions.v1',
      description:
        'Ids have at most 256 bytes of UTF-8, without control characters and lone surrogates; the key of the ' +
        'record is user_id; timestamp_ms is from 2000-01-01 to five minutes ahead. See docs/events.md.',
    });
    const letter = renderSchema(deadLetterSchema, {
      $id: 'urn:nestrec:dead-letter:1',
      title: 'Record of the topic interactions.dlq.v1',
      description: 'A record that was set aside. See docs/events.md.',
    });
    const folder = '../../docs/schemas';
    await expect(event).toMatchFileSnapshot(`${folder}/interactions.v1.schema.json`);
    await expect(letter).toMatchFileSnapshot(`${folder}/dead-letter.v1.schema.json`);
  });

  it('docs/events.md says of every reason of a reject what it means and what cures it', () => {
    const rows = Object.entries(REJECT_REASONS).map(
      ([reason, { meaning, cure }]) => `| \`${reason}\` | ${meaning} | ${cure} |`,
    );
    const text = readFileSync(join(root, 'docs/events.md'), 'utf8');
    expect(text).toContain(`| reason | meaning | cure |\n|---|---|---|\n${rows.join('\n')}\n\n`);
  });

  it('every example of a record in docs/events.md is one that ingest takes', () => {
    const text = readFileSync(join(root, 'docs/events.md'), 'utf8');
    const examples = [...text.matchAll(/\{"schema_version":1,"event_id"[^}]*\}/g)];
    expect(examples.length).toBeGreaterThan(2);
    for (const [example] of examples) {
      expect(logEventSchema.safeParse(JSON.parse(example)).error, example).toBeUndefined();
    }
    const letters = [...text.matchAll(/^\{"schema_version":1,"topic".*\}$/gm)];
    expect(letters).toHaveLength(1);
    expect(deadLetterSchema.safeParse(JSON.parse(letters[0]![0])).error).toBeUndefined();
  });

  it('one environment with every setting of .env.example serves each process', () => {
    const text = readFileSync(join(root, '.env.example'), 'utf8');
    const env = Object.fromEntries(
      [...text.matchAll(/^#([A-Z_]+)=(.+)$/gm)].map((m) => [m[1], m[2]]),
    );
    expect(loadConfig(cliSettings, env)).toEqual(loadConfig(cliSettings, {}));
    expect(() => loadConfig(apiConfig, env)).not.toThrow();
    expect(() => loadConfig(ingestConfig, env)).not.toThrow();
    expect(() => loadConfig(trainerConfig, env)).not.toThrow();
  });

  it.each(markdownFiles('.'))('every link of %s leads somewhere', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].map((match) => match[1]!);
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    const broken = local.filter((target) => !existsSync(join(root, dirname(file), target)));
    expect(broken).toEqual([]);
  });
});
