import { expect, test } from 'vitest';
import {
  attemptReason,
  failureSpan,
  isWornOut,
  nextAttemptDelayMs,
  noFailures,
  notFiringReason,
  progressAfterEnd,
  triggerFires,
  triggerLadderMs,
  triggerProgress,
  triggerSchema,
} from '../../domain/trigger.ts';
import type { AttemptEnd } from '../../domain/trigger.ts';
import { triggerBody, triggerTestBody } from '../../domain/trigger-body.ts';
import type { ImageUpdated } from '../../domain/trigger-body.ts';

const update: ImageUpdated = {
  instance: 'hangzhou',
  region: 'cn-hangzhou',
  namespace: 'team',
  repository: 'app',
  repositoryType: 'private',
  repositoryCreatedAt: '2020-10-01T00:00:00.000Z',
  tag: 'v1',
  digest: `sha256:${'a'.repeat(64)}`,
  previousDigest: `sha256:${'b'.repeat(64)}`,
  architectures: ['linux/amd64', 'linux/arm64'],
  commit: 'c'.repeat(40),
  run: '01a1fe58-8217-709d-af16-78f76b40b9ba',
  sequence: 7,
  at: '2020-10-15T08:25:46.000Z',
};

const middle = { random: 0.5 };
const answered = (statusCode: number, retryAfterMs: number | null = null): AttemptEnd => ({
  statusCode,
  isTimeout: false,
  retryAfterMs,
});
const timedOut: AttemptEnd = { statusCode: null, isTimeout: true, retryAfterMs: null };

test('ten attempts are spread over 75 h 35 min, the first at once', () => {
  expect(triggerLadderMs).toHaveLength(10);
  expect(triggerLadderMs[0]).toBe(0);
  expect(triggerLadderMs.reduce((sum, delay) => sum + delay, 0)).toBe((75 * 60 + 35) * 60_000 + 5_000);
});

test.each([
  [1, 5_000],
  [2, 5 * 60_000],
  [3, 30 * 60_000],
  [4, 2 * 3_600_000],
  [5, 5 * 3_600_000],
  [6, 10 * 3_600_000],
  [7, 14 * 3_600_000],
  [8, 20 * 3_600_000],
  [9, 24 * 3_600_000],
  [10, null],
])('after failed attempt %i the next one waits %s ms', (number, expected) => {
  expect(nextAttemptDelayMs(number, answered(500), middle)).toBe(expected);
});

test('the delay is spread by a fifth to both sides', () => {
  expect(nextAttemptDelayMs(1, answered(500), { random: 0 })).toBeCloseTo(4_000);
  expect(nextAttemptDelayMs(1, answered(500), { random: 0.999_999 })).toBeCloseTo(6_000, 0);
});

test.each([
  ['429', answered(429)],
  ['502', answered(502)],
  ['504', answered(504)],
  ['a timeout', timedOut],
])('%s doubles the next delay', (_name, end) => {
  expect(nextAttemptDelayMs(1, end, middle)).toBe(10_000);
});

test.each([
  ['500', answered(500)],
  ['503', answered(503)],
  ['404', answered(404)],
  ['a redirect', answered(302)],
  ['a lost connection', { statusCode: null, isTimeout: false, retryAfterMs: null }],
])('%s does not double the next delay', (_name, end) => {
  expect(nextAttemptDelayMs(1, end, middle)).toBe(5_000);
});

test.each([
  ['sooner than the rung waits for the rung', 1_000, 5_000],
  ['between is taken as it is', 7_000, 7_000],
  ['later than twice the rung is cut there', 3_600_000, 10_000],
])('Retry-After %s', (_name, retryAfterMs, expected) => {
  expect(nextAttemptDelayMs(1, answered(429, retryAfterMs), middle)).toBe(expected);
  expect(nextAttemptDelayMs(1, answered(503, retryAfterMs), middle)).toBe(expected);
});

test('a scale shortens every rung alike', () => {
  expect(nextAttemptDelayMs(9, answered(500), { random: 0.5, scale: 0.001 })).toBe(86_400);
});

test.each([
  ['all', { kind: 'all' }, true],
  ['a regular expression that matches the whole tag', { kind: 'regexp', regexp: 'v[0-9]+' }, true],
  ['a regular expression that matches a part of the tag only', { kind: 'regexp', regexp: '[0-9]' }, false],
  ['a list with the tag', { kind: 'tags', tags: ['latest', 'v1'] }, true],
  ['a list without the tag', { kind: 'tags', tags: ['latest', 'V1'] }, false],
] as const)('the condition %s fires for v1: %j → %s', (_name, condition, expected) => {
  expect(
    triggerFires({ condition: 'tags' in condition ? { ...condition, tags: [...condition.tags] } : condition }, 'v1'),
  ).toBe(expected);
});

test('the standard body holds exactly the members of the documents, in their order', () => {
  const { repositoryType: _type, repositoryCreatedAt: _created, at, ...data } = update;
  expect(triggerBody('standard', update)).toBe(JSON.stringify({ type: 'image.updated', timestamp: at, data }));
});

test('the body depends on the values only, not on how the update was put together', () => {
  const shuffled = { ...Object.fromEntries(Object.entries(update).toReversed()), ...update };
  expect(Object.keys(shuffled)).not.toEqual(Object.keys(update));
  expect(triggerBody('standard', shuffled)).toBe(triggerBody('standard', update));
});

test('the ACR body equals the one of the documents, with times in UTC+8', () => {
  expect(JSON.parse(triggerBody('acr', update))).toEqual({
    push_data: { digest: update.digest, pushed_at: '2020-10-15 16:25:46', tag: 'v1' },
    repository: {
      date_created: '2020-10-01 08:00:00',
      name: 'app',
      namespace: 'team',
      region: 'cn-hangzhou',
      repo_authentication_type: 'NO_CERTIFIED',
      repo_full_name: 'team/app',
      repo_origin_type: 'NO_CERTIFIED',
      repo_type: 'PRIVATE',
    },
  });
});

test('a test message differs from a real one in its type alone', () => {
  const real = JSON.parse(triggerBody('standard', update));
  expect(JSON.parse(triggerTestBody('standard', update))).toEqual({ ...real, type: 'test' });
  expect(triggerTestBody('acr', update)).toBe(triggerBody('acr', update));
});

test.each([
  [['delivered', 'untriggered'], 'success'],
  [['delivered', 'retrying'], 'running'],
  [['failed', 'waiting'], 'running'],
  [['failed', 'delivered'], 'failed'],
  [['canceled', 'delivered'], 'canceled'],
  [['untriggered', 'untriggered'], 'skipped'],
] as const)('a trigger with deliveries %j is shown as %s', (statuses, expected) => {
  expect(triggerProgress(statuses.map((status) => ({ status, reason: null }))).state).toBe(expected);
});

test('a trigger that waits says why', () => {
  const reason = attemptReason({ statusCode: 503, errorClass: null });
  expect(
    triggerProgress([
      { status: 'delivered', reason: null },
      { status: 'retrying', reason },
    ]),
  ).toEqual({ state: 'running', reason });
});

test('after the step has ended, a delivery may come late, and nothing undoes a success', () => {
  const failed = { state: 'failed', reason: null } as const;
  const success = { state: 'success', reason: null } as const;
  const running = { state: 'running', reason: null } as const;
  expect(progressAfterEnd(running, failed)).toEqual(failed);
  expect(progressAfterEnd(failed, running)).toEqual(failed);
  expect(progressAfterEnd(failed, success)).toMatchObject({
    state: 'success',
    reason: { code: 'trigger.delivered_late' },
  });
  expect(progressAfterEnd(success, failed)).toEqual(success);
});

test.each([
  [{ statusCode: 500, errorClass: null }, 'The receiver answered 500'],
  [{ statusCode: 302, errorClass: null }, 'The receiver answered 302, and redirects are not followed'],
  [{ statusCode: null, errorClass: 'timeout' }, 'The receiver did not answer in time'],
  [{ statusCode: null, errorClass: 'blocked' }, 'The administrator does not allow calls to this address'],
] as const)('the attempt %j is told as "%s"', (end, text) => {
  expect(attemptReason(end)).toMatchObject({ code: 'trigger.attempt_failed', text });
});

test.each([
  [{ kind: 'regexp', regexp: 'v[0-9]+' }, 'Not called for the tag latest: it does not match v[0-9]+'],
  [{ kind: 'tags', tags: ['v1'] }, "Not called for the tag latest: it is not in the trigger's list"],
] as const)('a tag that the condition %j leaves out is told so', (condition, text) => {
  const written = 'tags' in condition ? { ...condition, tags: [...condition.tags] } : condition;
  expect(notFiringReason({ condition: written }, 'latest').text).toBe(text);
});

const minutes = (count: number) => new Date(Date.UTC(2026, 0, 1) + count * 60_000);
const days = (count: number) => minutes(count * 24 * 60);

test('a second failure within a day opens the span at the first one; five days later the trigger is worn out', () => {
  const one = failureSpan(noFailures, minutes(0));
  expect(isWornOut(one, days(6))).toBe(false);
  const two = failureSpan(one, minutes(10));
  expect(two.failingSince).toEqual(minutes(0));
  const later = failureSpan(two, days(4.99));
  expect(isWornOut(later, days(4.99))).toBe(false);
  expect(isWornOut(failureSpan(later, days(5)), days(5))).toBe(true);
});

test('a trigger that was enabled again starts its span anew', () => {
  const span = failureSpan({ firstFailureAt: null, failingSince: days(0) }, days(6));
  expect(isWornOut(span, days(6))).toBe(false);
});

test('lone failures more than a day apart never wear a trigger out', () => {
  let span = noFailures;
  for (let day = 0; day < 20; day += 2) span = failureSpan(span, days(day));
  expect(span.failingSince).toBeNull();
  expect(isWornOut(span, days(20))).toBe(false);
});

function definition(change: Readonly<Record<string, unknown>>) {
  return triggerSchema.safeParse({ name: 'deploy', url: 'https://ci.example/hook', ...change });
}

test('a trigger needs a name and an address; everything else has a default', () => {
  expect(definition({}).data).toEqual({
    name: 'deploy',
    action: 'webhook',
    url: 'https://ci.example/hook',
    condition: { kind: 'all' },
    format: 'standard',
    headers: [],
    caCertificate: null,
    enabled: true,
  });
});

test.each([
  { name: '' },
  { url: 'ftp://ci.example/hook' },
  { url: `https://ci.example/${'x'.repeat(2_048)}` },
  { condition: { kind: 'regexp', regexp: '(?<=a)b' } },
  { condition: { kind: 'tags', tags: [] } },
  { condition: { kind: 'tags', tags: Array.from({ length: 51 }, (_, index) => `v${index}`) } },
  { headers: Array.from({ length: 11 }, (_, index) => ({ name: `x-${index}`, value: '1' })) },
  { headers: [{ name: 'Webhook-Signature', value: 'v1,forged' }] },
  { headers: [{ name: 'Host', value: 'internal' }] },
  { headers: [{ name: 'Content-Length', value: '0' }] },
  { headers: [{ name: 'Upgrade', value: 'websocket' }] },
  { headers: [{ name: 'x-a', value: 'one\r\ntwo' }] },
  {
    headers: [
      { name: 'x-a', value: '1' },
      { name: 'X-A', value: '2' },
    ],
  },
  { surprise: true },
])('the trigger %j is refused', (change) => {
  expect(definition(change).success).toBe(false);
});
