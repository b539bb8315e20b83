import type { Delivery, LogLine, ScanFinding } from '../../console/src/api-types.ts';
import type { LogStep } from '../../domain/log-steps.ts';
import type { Severity } from '../../domain/scan.ts';
import { at, digest } from './console-fixture-steps.ts';

const buildOutput = [
  '#1 [internal] load build definition from Dockerfile',
  '#1 transferring dockerfile: 412B done',
  '#1 DONE 0.0s',
  '#2 [internal] load metadata for docker.io/library/debian:bookworm-slim',
  '#2 DONE 0.1s',
  '#4 [1/6] FROM docker.io/library/debian:bookworm-slim@sha256:4bf92f3577b34da6a3ce929d0e0e4736',
  '#4 \u001B[32mCACHED\u001B[0m',
  '#5 [2/6] RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates',
  '#5 0.412 Get:1 https://deb.example.test/debian bookworm InRelease [151 kB]',
  '#5 1.870 \u001B[33mwarning:\u001B[0m no database found, reading all',
  '#6 [3/6] COPY package.json package-lock.json ./',
  '#7 [4/6] RUN npm ci --omit=dev',
  '#7 8.112 added 214 packages in 7s',
  '#8 [5/6] COPY <<EOF /etc/app.conf',
  '#9 exporting to image',
  '#9 pushing layers 1.2s done',
];

/** The log of a build, `lines` long, both architectures in one numbering. The failed one ends at its error. */
export function fixtureLog(build: string, lines: number): LogLine[] {
  const isFailed = build === 'build-run-failed';
  return Array.from({ length: lines }, (_, index) => {
    const isLast = isFailed && index === lines - 1;
    return {
      line: index + 1,
      time: at(1_199 - index / 8),
      stage: index < 3 ? 'clone' : 'build',
      platform: isFailed || index % 3 !== 2 ? 'linux/amd64' : 'linux/arm64',
      text: isLast
        ? '\u001B[31mERROR\u001B[0m: failed to solve: process "/bin/sh -c npm ci" did not complete successfully: exit code: 1 <script>window.__xss=1</script>'
        : (buildOutput[index % buildOutput.length] ?? ''),
    };
  });
}

/** The steps of a build whose log is `lines`: one from the cache, one that failed or runs if the log ends with it. */
export function fixtureSteps(lines: readonly LogLine[]): LogStep[] {
  const named = lines.slice(0, buildOutput.length).filter(({ text }) => /^#\d+ \[/.test(text));
  const isFailed = lines.at(-1)?.text.includes('ERROR') ?? false;
  return named.map(({ line, platform, text, time }, index) => {
    const isLast = index === named.length - 1;
    const state = isLast && isFailed ? 'failed' : text.includes('FROM') ? 'cached' : 'done';
    return {
      platform: platform === 'linux/arm64' ? 'linux/arm64' : 'linux/amd64',
      number: Number(/^#(\d+)/.exec(text)?.[1] ?? 0),
      name: text.replace(/^#\d+ /, ''),
      state,
      line,
      endLine: state === 'failed' ? lines.length : line + 1,
      startedAt: time,
      durationMs: 1_200 * (index + 1),
    };
  });
}

const packages = [
  'openssl',
  'zlib1g',
  'libc6',
  'libgnutls30',
  'perl-base',
  'tar',
  'libsystemd0',
  'util-linux',
  'libtinfo6',
  'bash',
];

/** Findings of a scan for two architectures; one title tries to be HTML. */
export function fixtureFindings(scan: string): ScanFinding[] {
  const severities: Severity[] =
    scan === 'scan-denied'
      ? [
          ...times('critical', 2),
          ...times('high', 9),
          ...times('medium', 31),
          ...times('low', 44),
          ...times('unknown', 1),
        ]
      : [...times('medium', 4), ...times('low', 12)];
  return ['linux/amd64', 'linux/arm64'].flatMap((platform) =>
    severities.map((severity, index) => ({
      id: `${platform} ${index}`,
      platform,
      cve: `CVE-${2_019 + (index % 6)}-${String(10_245 + index * 317)}`,
      severity,
      package: packages[index % packages.length] ?? 'bash',
      installedVersion: `3.0.${index % 14}-1~deb12u1`,
      fixedVersion: index % 3 === 2 ? null : `3.0.${(index % 14) + 1}-1~deb12u2`,
      kind: 'os' as const,
      layer: null,
      engine: 'trivy',
      title:
        index === 0
          ? 'SSL_select_next_proto buffer overread <img src=x onerror=window.__xss=1>'
          : `Out-of-bounds read when parsing crafted input, case ${index}`,
      url: index === 1 ? 'javascript:window.__xss=1' : `https://security-tracker.debian.org/tracker/CVE-${index}`,
    })),
  );
}

function times(value: Severity, count: number): Severity[] {
  return Array.from({ length: count }, () => value);
}

/** A message that was refused once and then taken, or one that matched no condition. */
export function fixtureDelivery(id: string): Delivery {
  if (id === 'delivery-2') {
    return {
      id,
      trigger: 'crw-1',
      status: 'untriggered',
      webhookId: 'msg_2',
      event: 'image.updated',
      tag: 'latest',
      resends: 0,
      reason: { code: 'trigger.not_matching', params: { tag: 'latest' }, text: 'The tag latest does not match v.*' },
      attempts: [],
      nextAttemptAt: null,
    };
  }
  const requestHeaders = {
    'content-type': 'application/json',
    'webhook-id': 'msg_1',
    'webhook-timestamp': '1795268305',
    'webhook-signature': 'v1,…',
  };
  const requestBody = JSON.stringify({
    type: 'image.updated',
    timestamp: at(1_095),
    data: { repository: 'web', tag: 'v1.4.0-d4ef3d', digest },
  });
  const attempt = {
    requestHeaders,
    requestBody,
    responseHeaders: { 'content-type': 'application/json' },
    errorClass: null,
  };
  return {
    id,
    trigger: 'crw-1',
    status: 'delivered',
    webhookId: 'msg_1',
    event: 'image.updated',
    tag: 'v1.4.0-d4ef3d',
    resends: 0,
    reason: null,
    attempts: [
      {
        ...attempt,
        number: 1,
        at: at(1_094),
        durationMs: 412,
        statusCode: 503,
        responseBody: '{"error":"warming up"}',
      },
      { ...attempt, number: 2, at: at(1_089), durationMs: 38, statusCode: 200, responseBody: '{"ok":true}' },
    ],
    nextAttemptAt: null,
  };
}
