import { describe, expect, test } from 'vitest';
import { classifyBuildError } from '../../activities/drivers/buildkit-errors.ts';

/** buildctl 0.32.2's last words. */
function words(error: string, { line, file = 'Dockerfile' }: { line?: number; file?: string } = {}): string {
  const rule = '-'.repeat(20);
  const excerpt = line === undefined ? '' : `${file}:${line}\n${rule}\n   ${line} | >>> RUN x\n${rule}\n`;
  return `${excerpt}error: failed to solve: ${error}`;
}

const step = 'process "/bin/sh -c make" did not complete successfully: exit code: ';
const source = 'x:1: failed to resolve source metadata for docker.io/library/x:1: ';
const push = 'failed to push 127.0.0.1:5001/shop/web: ';

describe('classifying a failed build', () => {
  test.for([
    [
      words('dockerfile parse error on line 3: unknown instruction: RUNN (did you mean RUN?)', { line: 3 }),
      'build.dockerfile_invalid',
    ],
    [words('base name (${BASE}) should not be blank', { line: 2 }), 'build.dockerfile_invalid'],
    [words('unterminated heredoc', { line: 2 }), 'build.dockerfile_invalid'],
    [words('the Dockerfile cannot be empty'), 'build.dockerfile_invalid'],
    [words('failed to load LLB: security.insecure is not allowed'), 'build.dockerfile_invalid'],
    [words(`${step}3`, { line: 3 }), 'build.step_failed'],
    [
      words('process "/bin/sh -c echo no space left on device" did not complete successfully: exit code: 1', {
        line: 3,
      }),
      'build.step_failed',
    ],
    [
      words('process "/bin/sh -c echo" did not complete successfully: unable to find user nobodyx', { line: 3 }),
      'build.step_failed',
    ],
    [
      words('failed to compute cache key: failed to calculate checksum of ref u9::j2: "/nothere": not found', {
        line: 2,
      }),
      'build.file_missing',
    ],
    [words('secret npm: not found', { line: 3 }), 'build.secret_missing'],
    [words('target stage "tests" could not be found'), 'build.target_stage_missing'],
    [words(`${source}docker.io/library/x:1: not found`, { line: 1 }), 'build.base_image_missing'],
    [
      words(`${source}no match for platform in manifest: not found`, { line: 1 }),
      'build.base_image_architecture_missing',
    ],
    [
      words(
        `${source}unexpected status from HEAD request to http://127.0.0.1:1/v2/x/manifests/1: 403 Forbidden\ndenied: nope`,
        { line: 1 },
      ),
      'build.base_image_refused',
    ],
    [words('failed to load cache key: invalid response status 404'), 'build.download_failed'],
    [words('failed to load cache key: invalid response status 451'), 'build.address_refused'],
    [words('failed to load cache key: Get "https://10.0.0.1/x": Refused by the egress rules'), 'build.address_refused'],
    [
      words(`${source}failed to do request: Head "https://10.0.0.1/v2/x": Refused by the egress rules`, { line: 1 }),
      'build.address_refused',
    ],
  ] as const)('%s is the user’s and final', ([problem, code]) => {
    expect(classifyBuildError(problem)).toMatchObject({ code, fault: 'user', isPermanent: true });
  });

  test.for([
    [words(`${push}denied: requested access to the resource is denied`), 'build.push_refused', true],
    [
      words(`${push}unexpected status from HEAD request to http://127.0.0.1/v2/x: 401 Unauthorized`),
      'build.push_refused',
      true,
    ],
    [words(`${push}failed to fetch oauth token: insufficient_scope: authorization failed`), 'build.push_refused', true],
    [
      words(`${push}unexpected status from HEAD request to http://127.0.0.1/v2/x: 503 Service Unavailable`),
      'build.push_failed',
      false,
    ],
    [
      words(`${push}failed to do request: Head "http://127.0.0.1": dial tcp: connect: connection refused`),
      'build.push_failed',
      false,
    ],
    [
      words(`${source}failed to do request: Head "http://127.0.0.1": dial tcp: connect: connection refused`, {
        line: 1,
      }),
      'build.base_image_unreachable',
      false,
    ],
    [
      words(`${source}unexpected status from HEAD request: 503 Service Unavailable`, { line: 1 }),
      'build.base_image_unreachable',
      false,
    ],
    [
      words('failed to load cache key: Get "http://127.0.0.1:9/x": connect: connection refused'),
      'build.network_error',
      false,
    ],
    [words('failed to copy: httpReadSeeker: failed open: unexpected EOF'), 'build.network_error', false],
    [words('mkdir /var/lib/x: no space left on device'), 'build.disk_full', false],
    [
      words('process "/bin/sh -c make" did not complete successfully: mkdir /x/executor/y: no space left on device'),
      'build.disk_full',
      false,
    ],
    [words('exec /bin/sh: exec format error'), 'build.emulation_missing', false],
    [
      'error: listing workers for Build: failed to list workers: Unavailable: connection error',
      'build.builder_unreachable',
      false,
    ],
    [words('Canceled: context canceled'), 'build.builder_unreachable', false],
    [words(`${step}137: context canceled: context canceled`, { line: 2 }), 'build.builder_unreachable', false],
    ['', 'build.failed', false],
    [words('something nobody has seen'), 'build.failed', false],
  ] as const)('%s is the system’s', ([problem, code, isPermanent]) => {
    expect(classifyBuildError(problem)).toMatchObject({ code, fault: 'system', isPermanent });
  });

  test('what a user’s own command says does not decide', () => {
    const command =
      'process "/bin/sh -c echo no space left on device; echo failed to push x: 503; exit 4" did not complete successfully: exit code: 4';
    expect(classifyBuildError(words(command, { line: 9 }))).toMatchObject({
      code: 'build.step_failed',
      params: { exitCode: 4 },
    });
  });

  test('file and line stand in the sentence and in the parameters', () => {
    const problem = words('dockerfile parse error on line 7: unknown instruction: RUNN (did you mean RUN?)', {
      line: 7,
      file: 'docker/Dockerfile.prod',
    });
    expect(classifyBuildError(problem)).toMatchObject({
      params: { file: 'docker/Dockerfile.prod', line: 7 },
      text: 'The Dockerfile does not hold at docker/Dockerfile.prod:7: unknown instruction: RUNN (did you mean RUN?). Correct it and push again.',
    });
  });

  test('the sentence of a failed step says where, how, and where to look', () => {
    expect(classifyBuildError(words(`${step}2`, { line: 4 }))).toMatchObject({
      params: { file: 'Dockerfile', line: 4, exitCode: 2 },
      text: 'A step at Dockerfile:4 ended with exit code 2. Its last lines in the log say why.',
    });
    expect(classifyBuildError(words(`${step}137`, { line: 4 })).text).toContain('ran out of memory');
  });

  test('control characters of a hostile file name do not reach the sentence', () => {
    expect(classifyBuildError(words('"\u001b[31m\u0000x" should not be blank', { line: 1 })).text).toBe(
      'The Dockerfile does not hold at Dockerfile:1: "x" should not be blank. Correct it and push again.',
    );
  });
});
