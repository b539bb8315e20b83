import { expect, test } from 'vitest';
import { ConfigInvalid, readConfig, readWorkerConfig } from '../../domain/config.ts';

const least = {
  SLIPWAY_URL: 'https://slipway.example.com/',
  SLIPWAY_POSTGRES_URL: 'postgres://127.0.0.1/slipway',
  SLIPWAY_TEMPORAL_ADDRESS: '127.0.0.1:7233',
  SLIPWAY_OBJECT_STORE_ENDPOINT: 'http://127.0.0.1:7070',
  SLIPWAY_OBJECT_STORE_ACCESS_KEY: 'access',
  SLIPWAY_OBJECT_STORE_SECRET_KEY: 'secret',
  SLIPWAY_KEY_FILE: '/run/secrets/kek',
  SLIPWAY_TOKEN_KEY_FILE: '/run/secrets/token-key',
  SLIPWAY_ADMIN_TOKEN_FILE: '/run/secrets/admin-token',
};
const worker = { ...least, SLIPWAY_TRIVY_CACHE_DIR: '/trivy', SLIPWAY_WORK_DIR: '/work' };

const problemsOf = (read: () => unknown): string => {
  try {
    read();
    return '';
  } catch (error) {
    if (error instanceof ConfigInvalid) return error.message;
    throw error;
  }
};

test('every problem is told at once, by the name of its variable', () => {
  const { SLIPWAY_URL: _missing, ...rest } = least;
  const problems = problemsOf(() => readConfig({ ...rest, SLIPWAY_TEMPORAL_ADDRESS: 'nowhere', SLIPWAY_TIMINGS: '{' }));
  for (const name of ['SLIPWAY_URL', 'SLIPWAY_TEMPORAL_ADDRESS: must be host:port', 'SLIPWAY_TIMINGS: must be a JSON'])
    expect(problems).toContain(name);
});

test('what is set to nothing is as not set: it takes its default, or is missing', () => {
  const config = readConfig({ ...least, SLIPWAY_WAITING_BUILDS: '', SLIPWAY_TRUSTED_PROXIES: '', SLIPWAY_REGIONS: '' });
  expect(config).toMatchObject({ SLIPWAY_WAITING_BUILDS: 1_000, SLIPWAY_TRUSTED_PROXIES: [] });
  expect(config.SLIPWAY_REGIONS.length).toBeGreaterThan(1);
  expect(problemsOf(() => readConfig({ ...least, SLIPWAY_KEY_FILE: '' }))).toContain('SLIPWAY_KEY_FILE');
});

test('a worker that builds says for which regions: without one it would take nothing, and nobody would know', () => {
  expect(problemsOf(() => readWorkerConfig(worker))).toContain('SLIPWAY_BUILD_REGIONS: a worker that builds needs');
  expect(problemsOf(() => readWorkerConfig({ ...worker, SLIPWAY_BUILD_REGIONS: 'cn-hangzhou' }))).toBe('');
  expect(problemsOf(() => readWorkerConfig({ ...worker, SLIPWAY_WORKER_ROLES: 'chain,control' }))).toBe('');
});
