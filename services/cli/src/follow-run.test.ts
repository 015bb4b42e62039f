import type { TrainingRunAnswer } from '@nestrec/contracts';
import { DataFolderInUse, ModelNotFound } from '@nestrec/errors';
import { describe, expect, it } from 'vitest';
import { followRun } from './follow-run.js';
import type { AdminRequest } from './running-server.js';

const run = (id: string, change: Partial<TrainingRunAnswer>): TrainingRunAnswer => ({
  ...{ id, requested_at: '2026-01-01T00:00:00.000Z', requested_by: 'api:cli', mode: 'full' },
  ...{ publish: true, options: {}, status: 'queued', holder: null, finished_at: null },
  ...{ heartbeat_at: null, progress: null, version: null, published: false, reason: null },
  retried_as: null,
  ...change,
});

/** A server that gives these answers, each once and in this order. */
function serverOf(...answers: (TrainingRunAnswer | Error)[]) {
  const asked: string[] = [];
  const ask: AdminRequest = (_method, path, schema) => {
    const answer = answers[asked.push(path) - 1];
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(schema.parse(answer));
  };
  return { ask, asked };
}

async function follow(first: TrainingRunAnswer, { ask }: ReturnType<typeof serverOf>) {
  const notes: string[] = [];
  const note = (text: string) => void notes.push(text);
  return { run: await followRun({ note }, ask, first, 1), notes };
}

describe('waiting for a run of the running server', () => {
  it('ends with the run', async () => {
    const server = serverOf(run('7', { status: 'running' }), run('7', { status: 'succeeded' }));
    expect(await follow(run('7', {}), server)).toMatchObject({
      ...{ run: { id: '7', status: 'succeeded' }, notes: [] },
    });
    expect(server.asked).toEqual(['/v1/training-runs/7', '/v1/training-runs/7']);
  });

  it('follows one that was queued again to those in its place, and says so', async () => {
    const server = serverOf(
      run('7', { status: 'abandoned', reason: 'killed', retried_as: '9' }),
      run('9', { status: 'running' }),
      run('9', { status: 'abandoned', reason: 'killed too', retried_as: '12' }),
      run('12', {}),
      run('12', { status: 'refused', reason: 'worse' }),
    );
    const { run: last, notes } = await follow(run('7', {}), server);
    expect(last).toMatchObject({ id: '12', status: 'refused' });
    expect(notes).toEqual([
      'Run 7: killed. It goes on as run 9.',
      'Run 9: killed too. It goes on as run 12.',
    ]);
  });

  it('ends with one that was abandoned for good, and with one that was called off', async () => {
    for (const status of ['abandoned', 'cancelled'] as const) {
      const { run: last } = await follow(run('7', {}), serverOf(run('7', { status })));
      expect(last).toMatchObject({ id: '7', status });
    }
  });

  it('names the run that goes on without it where the server is gone, and passes other errors on', async () => {
    const gone = serverOf(
      run('7', { status: 'abandoned', reason: 'stopped', retried_as: '8' }),
      new DataFolderInUse({ detail: 'no answer' }),
    );
    await expect(follow(run('7', {}), gone)).rejects.toMatchObject({
      ...{ code: 'interrupted', detail: expect.stringContaining('nestrec runs show 8') as string },
    });
    const other = new ModelNotFound({ detail: 'x' });
    await expect(follow(run('7', {}), serverOf(other))).rejects.toBe(other);
  });
});
