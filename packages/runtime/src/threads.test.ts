import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { startableBeside } from './threads.js';

const SOURCE = 'file:///home/src/nestrec/packages/registry/src/steps/load-aside.ts';
const BUILT = 'file:///home/src/nestrec/packages/registry/dist/steps/load-aside.js';
const plain = ({ file, ...rest }: ReturnType<typeof startableBeside>) => ({
  file: file.href,
  ...rest,
});

afterEach(() => vi.unstubAllEnvs());

describe('what is started beside a module', () => {
  it.each(['', 'dist'])(
    'is JavaScript with the options of this process beside what was built (NESTREC_CHILDREN "%s")',
    (children) => {
      vi.stubEnv('NESTREC_CHILDREN', children);
      expect(plain(startableBeside(BUILT, 'load-thread'))).toEqual({
        file: BUILT.replace('aside', 'thread'),
        fromSource: false,
        execArgv: undefined,
      });
    },
  );

  it('is what was built, with no option of this process, where a runner has built and says so', () => {
    vi.stubEnv('NESTREC_CHILDREN', 'dist');
    expect(plain(startableBeside(SOURCE, 'load-thread'))).toEqual({
      file: BUILT.replace('aside', 'thread'),
      fromSource: false,
      execArgv: [],
    });
  });

  describe('from source where nobody says that what was built is current', () => {
    beforeEach(() => vi.stubEnv('NESTREC_CHILDREN', ''));

    it('is the TypeScript module', () => {
      expect(plain(startableBeside(SOURCE, 'load-thread'))).toMatchObject({
        file: SOURCE.replace('aside', 'thread'),
        fromSource: true,
      });
    });

    it('is loaded by node with the options given, whatever the working directory', () => {
      const { file, execArgv } = startableBeside(import.meta.url, 'config');
      const program = `import('${file.href}').then((it) => console.log(typeof it.loadConfig))`;
      const { stdout, stderr } = spawnSync(process.execPath, [...execArgv!, '--eval', program], {
        ...{ cwd: '/', encoding: 'utf8' },
      });
      expect(execArgv).toContain('--conditions=@nestrec/source');
      expect({ stdout, stderr }).toEqual({ stdout: 'function\n', stderr: '' });
    });
  });
});
