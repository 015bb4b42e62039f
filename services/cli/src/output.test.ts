import { InvalidConfig } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { createOutput, renderError, renderTable } from './output.js';

function capture() {
  const written = { stdout: '', stderr: '' };
  const stream = (name: keyof typeof written) =>
    ({ write: (text: string) => ((written[name] += text), true) }) as unknown as NodeJS.WriteStream;
  return { written, streams: { stdout: stream('stdout'), stderr: stream('stderr') } };
}

describe('output', () => {
  it('writes exactly one JSON document to standard output with --json, notes beside it', () => {
    const { written, streams } = capture();
    const output = createOutput(streams, true);
    output.note('working');
    output.result({ offset: 12n }, 'text');
    expect(JSON.parse(written.stdout)).toEqual({ offset: '12' });
    expect(written.stderr).toBe('working\n');
  });

  it('says progress in plain lines where there is no terminal', () => {
    const { written, streams } = capture();
    const bar = createOutput(streams, false).progress('Import', 4);
    bar.update(4, 'done');
    bar.stop();
    expect(written.stderr).toBe('Import 100% done\n');
  });

  it('renders a table with every cell', () => {
    expect(renderTable(['a', 'b'], [['1', '2']])).toMatch(/a.*b[^]*1.*2/);
  });

  it('lists the faults of an error by field, each once', () => {
    const fields = [
      { path: 'line 3, ts', got: 'time_unreadable: soon', want: 'a time' },
      { path: 'PORT', got: 'x', want: 'y' },
    ];
    const { text } = renderError(new InvalidConfig({ detail: 'PORT: got x, wanted y.', fields }));
    expect(text).toContain('\n  line 3, ts: got time_unreadable: soon, wanted a time');
    expect(text.match(/PORT: got x/g)).toHaveLength(1);
  });

  it('gives catalogue errors their own exit code and text, and never a stack', () => {
    const known = renderError(new InvalidConfig({ detail: 'PORT: got x, wanted y.' }));
    expect(known).toMatchObject({ exitCode: 78 });
    expect(known.text).toContain('PORT: got x, wanted y. [invalid_config]');
    const unknown = renderError(new TypeError('boom'));
    expect(unknown.exitCode).toBe(70);
    expect(unknown.text).not.toContain('at ');
  });
});
