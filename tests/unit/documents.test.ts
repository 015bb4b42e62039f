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
import { errorCatalogue } from '@nestrec/errors';
import { envExample, loadConfig } from '@nestrec/runtime';
import { describe, expect, it } from 'vitest';

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

describe('documents', () => {
  it('docs/errors.md lists the error catalogue, no more and no less', async () => {
    expect(new Set(errorCatalogue.map((e) => e.code)).size).toBe(errorCatalogue.length);
    await expect(renderErrors()).toMatchFileSnapshot('../../docs/errors.md');
  });

  it('.env.example lists every setting with its default', async () => {
    const head =
      '# Settings of nestrec. Copy to .env, or set them in the environment; all are optional.\n\n';
    await expect(
      head + envExample({ ...cliSettings, operationsPort: ingestConfig.operationsPort }),
    ).toMatchFileSnapshot('../../.env.example');
  });

  it('one environment with every setting of .env.example serves each process', () => {
    const text = readFileSync(join(root, '.env.example'), 'utf8');
    const env = Object.fromEntries(
      [...text.matchAll(/^#([A-Z_]+)=(.+)$/gm)].map((m) => [m[1], m[2]]),
    );
    expect(loadConfig(cliSettings, env)).toEqual(loadConfig(cliSettings, {}));
    expect(() => loadConfig(apiConfig, env)).not.toThrow();
    expect(() => loadConfig(ingestConfig, env)).not.toThrow();
  });

  it.each(markdownFiles('.'))('every link of %s leads somewhere', (file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(#[^)]*)?\)/g)].map((match) => match[1]!);
    const local = targets.filter((target) => !/^[a-z]+:/.test(target));
    const broken = local.filter((target) => !existsSync(join(root, dirname(file), target)));
    expect(broken).toEqual([]);
  });
});
