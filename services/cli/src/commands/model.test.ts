import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { saveArtifact } from '@nestrec/registry';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeDraft } from '../../../../tests/helpers/artifact-draft.js';
import { runCli } from '../program.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nestrec-model-'));
  await saveArtifact(folder, makeDraft('v1'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function slice(...options: string[]) {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) =>
    ({ write: (text: string) => ((written[name] += text), true) }) as unknown as NodeJS.WriteStream;
  const code = await runCli(['model', 'slice', join(folder, 'v1'), ...options], {
    env: {},
    streams: { stdout: stream('stdout'), stderr: stream('stderr') },
  });
  return { code, ...written };
}

describe('nestrec model slice', () => {
  it('writes an artifact by default, files for onnxruntime on request, each in a folder of its own', async () => {
    const out = join(folder, 'slices');
    expect(await slice('--dim', '4', '--out', out)).toMatchObject({ code: 0 });
    const { code, stdout } = await slice('--dim', '4', '--format', 'onnx', '--out', out);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Wrote .*v1_d4_onnx\n[\s\S]*step\.onnx/);
    expect((await readdir(out)).sort()).toEqual(['v1_d4', 'v1_d4_onnx']);
    expect((await readdir(join(out, 'v1_d4_onnx'))).sort()).toEqual(
      ['items.json', 'manifest.json', 'step.onnx', 'vectors.safetensors'].sort(),
    );
  });

  it('prints path and manifest with --json, and never writes over what is there', async () => {
    const out = join(folder, 'again');
    const first = await slice('--dim', '8', '--format', 'onnx', '--out', out, '--json');
    const { path, manifest } = JSON.parse(first.stdout) as { path: string; manifest: unknown };
    expect(path).toBe(join(out, 'v1_d8_onnx'));
    const saved = await readFile(join(path, 'manifest.json'), 'utf8');
    expect(JSON.parse(saved)).toEqual(manifest);
    const second = await slice('--dim', '8', '--format', 'onnx', '--out', out);
    expect(second).toMatchObject({ code: 73, stdout: '' });
    expect(second.stderr).toMatch(/v1_d8_onnx already; nothing is overwritten/);
    expect(await readFile(join(path, 'manifest.json'), 'utf8')).toBe(saved);
  });

  it('refuses a size that the model does not have, another format, and onnx without --out', async () => {
    const out = ['--out', join(folder, 'refused')];
    const size = await slice('--dim', '5', '--format', 'onnx', ...out);
    expect(size).toMatchObject({ code: 65 });
    expect(size.stderr).toMatch(/Got size 5; the model has 2, 4, 8/);
    const format = await slice('--dim', '4', '--format', 'tflite', ...out);
    expect(format).toMatchObject({ code: 2 });
    expect(format.stderr).toMatch(/artifact, onnx/);
    const nowhere = await slice('--dim', '4', '--format', 'onnx');
    expect(nowhere).toMatchObject({ code: 2 });
    expect(nowhere.stderr).toMatch(/needs --out/);
    expect((await readdir(folder)).sort()).not.toContain('refused');
  });
});
