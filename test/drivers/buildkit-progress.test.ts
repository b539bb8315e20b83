import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createProgress, type Progress } from '../../activities/drivers/buildkit-progress.ts';

/** What buildctl 0.32.2 wrote. */
function recorded(name: string): readonly string[] {
  return readFileSync(join(import.meta.dirname, '../fixtures/buildkit', `${name}.jsonl`), 'utf8').split('\n');
}

function readAll(progress: Progress, lines: readonly string[]): readonly string[] {
  return [...lines.flatMap((line) => progress.read(line)), ...progress.end()].map(
    ({ stage, text }) => `${stage} ${text}`,
  );
}

const vertex = 'sha256:aa';
const started = '2026-11-21T13:57:05.1Z';
function log(text: string | Buffer, stream = 1): string {
  const data = Buffer.from(text).toString('base64');
  return JSON.stringify({ logs: [{ vertex, stream, data, timestamp: started }] });
}
const run = JSON.stringify({ vertexes: [{ digest: vertex, name: '[2/2] RUN make', started }] });
const done = JSON.stringify({
  vertexes: [{ digest: vertex, name: '[2/2] RUN make', started, completed: '2026-11-21T13:57:07.3Z' }],
});

describe('reading the progress of a build', () => {
  test('a build reads like the plain log everyone knows, each step numbered, with its lines and its end', () => {
    const progress = createProgress({ secrets: [] });
    const lines = readAll(progress, recorded('first'));
    expect(lines.slice(0, 3)).toEqual([
      'prepare #1 [internal] load build definition from Dockerfile',
      'prepare #1 transferring dockerfile: 388 B done',
      'prepare #1 DONE 0.0s',
    ]);
    expect(lines.filter((line) => line.startsWith('build #7'))).toEqual([
      'build #7 [final 2/3] RUN <<EOT (echo hello from heredoc...)',
      'build #7 hello from heredoc',
      'build #7 partial',
      'build #7 DONE 1.1s',
    ]);
    expect(lines.filter((line) => line.includes('progress') || line.includes('#6 a'))).toEqual([]);
    expect(lines.at(-1)).toBe('push #8 DONE 0.1s');
    expect(progress.cachedSteps).toBe(0);
    expect(progress.problem).toBe('');
  });

  test('steps from the cache are counted, a linked copy once', () => {
    const progress = createProgress({ secrets: [] });
    const lines = readAll(progress, recorded('cached'));
    expect(lines.filter((line) => line.endsWith('CACHED'))).toHaveLength(4);
    expect([progress.cachedSteps, progress.steps]).toEqual([4, 4]);
  });

  test('base images are noted with the digest they had, wherever in the Dockerfile they stand', () => {
    const progress = createProgress({ secrets: [] });
    const digest = `sha256:${'a'.repeat(64)}`;
    const names = [
      '[internal] load metadata for docker.io/library/debian:12',
      `[stage-1 1/3] FROM docker.io/library/debian:12@${digest}`,
      `FROM docker.io/library/busybox:1@${digest}`,
      '[stage-1 2/3] RUN echo FROM x',
    ];
    const vertexes = names.map((name, index) => ({ digest: `sha256:${index}`, name, started, completed: started }));
    progress.read(JSON.stringify({ vertexes }));
    expect(progress.baseImages).toEqual([
      { name: 'docker.io/library/debian:12', digest },
      { name: 'docker.io/library/busybox:1', digest },
    ]);
    expect([progress.cachedSteps, progress.steps]).toEqual([0, 1]);
  });

  test('the failing step shows its error, and what buildctl says at the end is kept apart', () => {
    const progress = createProgress({ secrets: [] });
    const lines = readAll(progress, recorded('step-failed'));
    expect(lines).toContain('build #4 before');
    expect(lines.at(-1)).toContain('build #4 ERROR: process "/bin/sh -c echo before;     exit 3"');
    expect(progress.problem.split('\n')[0]).toBe('Dockerfile:3');
    expect(progress.problem).toContain('error: failed to solve: process');
  });

  test('a secret is masked wherever the chunks of the log are split, also within a character', () => {
    const output = Buffer.from('login with pässword-1234 ok\n');
    for (let border = 0; border <= output.length; border += 1) {
      const progress = createProgress({ secrets: ['pässword-1234'] });
      const lines = readAll(progress, [run, log(output.subarray(0, border)), log(output.subarray(border)), done]);
      expect(lines).toEqual(['build #1 [2/2] RUN make', 'build #1 login with *** ok', 'build #1 DONE 2.2s']);
    }
  });

  test('the two streams of a step do not mix within a line', () => {
    const lines = readAll(createProgress({ secrets: [] }), [run, log('out '), log('err\n', 2), log('put\n'), done]);
    expect(lines.slice(1, 3)).toEqual(['build #1 err', 'build #1 out put']);
  });

  test('a secret in the name of a step or in an error is masked', () => {
    const progress = createProgress({ secrets: ['hunter2-hunter2'] });
    const failed = {
      digest: vertex,
      name: '[2/2] RUN login hunter2-hunter2',
      started,
      completed: started,
      error: 'hunter2-hunter2',
    };
    const lines = readAll(progress, [JSON.stringify({ vertexes: [failed] }), 'error: hunter2-hunter2']);
    expect([...lines, progress.problem].join('\n')).not.toContain('hunter2');
  });

  test('a pull that is started again and again ends in the log only after it has said more', () => {
    const from = { digest: vertex, name: '[1/2] FROM debian', started };
    const pull = JSON.stringify({ vertexes: [from] });
    const pulled = JSON.stringify({ vertexes: [{ ...from, completed: started }] });
    const status = { id: 'extracting', vertex, current: 0, timestamp: started, completed: started };
    const extracted = JSON.stringify({ statuses: [status] });
    expect(readAll(createProgress({ secrets: [] }), [pull, pulled, pull, pulled, pull, extracted, pulled])).toEqual([
      'build #1 [1/2] FROM debian',
      'build #1 DONE 0.0s',
      'build #1 extracting done',
      'build #1 DONE 0.0s',
    ]);
  });

  test('one unreadable line of progress loses no build', () => {
    const lines = readAll(createProgress({ secrets: [] }), ['{"vertexes":[', '{"vertexes":3}', run, done]);
    expect(lines).toEqual(['build #1 [2/2] RUN make', 'build #1 DONE 2.2s']);
  });

  test('lines with which a step begins or ends say so, with how it ended and how long it took', () => {
    const marksOf = (name: string) => {
      const progress = createProgress({ secrets: [] });
      return recorded(name)
        .flatMap((line) => progress.read(line))
        .flatMap(({ mark, text }) => (mark === null ? [] : [{ ...mark, text }]));
    };
    const begun = marksOf('first').filter(({ kind }) => kind === 'step');
    expect(begun[0]).toMatchObject({ step: 1, name: '[internal] load build definition from Dockerfile' });
    expect(marksOf('first').filter((mark) => mark.step === 7)).toMatchObject([
      { kind: 'step', text: '#7 [final 2/3] RUN <<EOT (echo hello from heredoc...)' },
      { kind: 'end', state: 'done', text: '#7 DONE 1.1s' },
    ]);
    expect(marksOf('cached').filter((mark) => mark.kind === 'end' && mark.state === 'cached')).toHaveLength(4);
    expect(marksOf('step-failed').at(-1)).toMatchObject({ kind: 'end', step: 4, state: 'failed' });
  });

  test('how far a step has come is told once a second at most, and only its last state becomes a line', () => {
    const progress = createProgress({ secrets: ['hunter2-hunter2'] });
    const second = (seconds: number) => new Date(Date.parse(started) + seconds * 1_000).toISOString();
    const status = (current: number, at: number, completed?: number) =>
      JSON.stringify({
        statuses: [
          {
            id: 'sha256:bb',
            vertex,
            current,
            total: 9_000_000,
            timestamp: second(at),
            ...(completed === undefined ? {} : { completed: second(completed) }),
          },
        ],
      });
    const bar = (percent: number, at: number) => {
      const data = Buffer.from(`\r\u001b[32m${percent} %\u001b[0m of hunter2-hunter2`).toString('base64');
      return JSON.stringify({ logs: [{ vertex, stream: 2, data, timestamp: second(at) }] });
    };
    const told = [
      run,
      ...[0.2, 0.9, 1.1, 1.5, 2.2].map((at) => status(at * 1_000_000, at)),
      status(9_000_000, 3, 3),
      ...[3.3, 3.6, 4.4].map((at) => bar(Math.round(at * 10), at)),
      log('\n', 2),
    ]
      .flatMap((line) => progress.read(line))
      .map(({ progressOf, text }) => [progressOf, text]);
    expect(told).toEqual([
      [null, '#1 [2/2] RUN make'],
      [1, 'sha256:bb 1.1 MB / 9.0 MB'],
      [1, 'sha256:bb 2.2 MB / 9.0 MB'],
      [null, '#1 sha256:bb 9.0 MB done'],
      [1, '33 % of ***'],
      [1, '44 % of ***'],
      [null, expect.stringContaining('44 %')],
    ]);
  });
});
