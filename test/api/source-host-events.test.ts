import { describe, expect, it } from 'vitest';
import { sourceHosts } from '../../api/source-hosts/index.ts';
import type { SourceHost } from '../../domain/source.ts';
import { fixture } from '../support/source-sender.ts';
import { sourceSenders } from '../support/source-senders.ts';

const bound = { codeNamespace: 'gitlab-org', codeRepository: 'hello-world.git' };
const parse = (host: SourceHost, event: string, body: unknown) =>
  sourceHosts[host].parse(event, Buffer.from(JSON.stringify(body)), bound);
const pathsOf = (host: SourceHost, event: string, body: unknown) => {
  const parsed = parse(host, event, body);
  return parsed.kind === 'changes' ? parsed.changes.map(({ paths }) => paths) : parsed;
};

describe('an event that starts nothing', () => {
  it.each([
    ['github', 'ping', {}, 'ping'],
    ['github', 'create', {}, 'no_change'],
    ['github', 'pull_request', {}, 'pull_request'],
    ['github', 'star', {}, 'other_event'],
    ['gitlab', 'Merge Request Hook', {}, 'pull_request'],
    ['gitlab', 'Pipeline Hook', {}, 'other_event'],
    ['gitlab', 'System Hook', { event_name: 'project_create' }, 'other_event'],
    ['gitee', 'Merge Request Hook', {}, 'pull_request'],
    ['gitee', 'Note Hook', {}, 'other_event'],
    ['bitbucket', 'pullrequest:created', {}, 'pull_request'],
    ['bitbucket', 'repo:fork', {}, 'fork'],
    ['bitbucket', 'repo:push', { push: { changes: [] } }, 'no_change'],
    ['bitbucket_data_center', 'diagnostics:ping', { test: true }, 'ping'],
    ['bitbucket_data_center', 'pr:opened', {}, 'pull_request'],
    // The push that follows tells of the tag as well.
    ['gitea', 'create', fixture('gitea/tag_create'), 'no_change'],
    ['gitea', 'pull_request_sync', {}, 'pull_request'],
  ] as const)('%s: %s', (host, event, body, reason) => {
    expect(parse(host, event, body)).toEqual({ kind: 'ignored', reason });
  });

  it.each([
    ['github', 'push', { ...fixture('github/push'), repository: { fork: true, full_name: 'mallory/hello-world' } }],
    ['gitea', 'push', { ...fixture('gitea/push'), repository: { fork: true, full_name: 'mallory/hello-world' } }],
  ] as const)('%s: a push to a fork is marked as one', (host, event, body) => {
    expect(parse(host, event, body)).toMatchObject({ kind: 'changes', changes: [{ isFork: true }] });
  });
});

describe('a system hook of GitLab', () => {
  const push = { ...fixture('gitlab/push'), event_name: 'push' };

  it('builds what was pushed to the bound project', () => {
    expect(parse('gitlab', 'System Hook', push)).toMatchObject({ kind: 'changes', changes: [{ ref: 'master' }] });
  });

  it('is of no concern where it is about another project', () => {
    const other = { ...push, project: { path_with_namespace: 'mallory/hello-world' } };
    expect(parse('gitlab', 'System Hook', other)).toEqual({ kind: 'ignored', reason: 'other_event' });
  });
});

describe('the files a push touched', () => {
  it.each([
    ['github', 'push', fixture('github/push'), ['README.md']],
    ['gitlab', 'Push Hook', fixture('gitlab/push'), ['README.md']],
    ['gitee', 'Push Hook', fixture('gitee/push'), ['modify.txt']],
    ['gitea', 'push', { ...fixture('gitea/push'), total_commits: 1 }, ['README.md']],
    ['git', 'push', { ref: 'refs/heads/a', before: 'b'.repeat(40), after: 'a'.repeat(40), paths: ['x'] }, ['x']],
  ] as const)('are what %s lists', (host, event, body, paths) => {
    expect(pathsOf(host, event, body)).toEqual([paths]);
  });

  it.each([
    [
      'GitHub lists as many commits as it lists at most',
      'github',
      'push',
      {
        ...fixture('github/push'),
        commits: Array.from({ length: 2_048 }, () => ({ added: [], modified: ['x'], removed: [] })),
      },
    ],
    ['GitHub says it was forced', 'github', 'push', { ...fixture('github/push'), forced: true }],
    ['the branch is new', 'gitlab', 'Push Hook', fixture('gitlab/branch_create')],
    ['it is a tag', 'gitlab', 'Tag Push Hook', fixture('gitlab/tag_create')],
    [
      'GitLab lists only the newest of them',
      'gitlab',
      'Push Hook',
      { ...fixture('gitlab/push'), total_commits_count: 21 },
    ],
    ['Gitee says that there are more', 'gitee', 'Push Hook', { ...fixture('gitee/push'), commits_more_than_ten: true }],
    ['Gitea does not say how many there are', 'gitea', 'push', fixture('gitea/push')],
    ['Bitbucket lists none', 'bitbucket', 'repo:push', fixture('bitbucket/push')],
  ] as const)('are not known where %s', (_what, host, event, body) => {
    expect(pathsOf(host, event, body)).toEqual([null]);
  });
});

it('a secret token of GitLab does not rescue a bad signature', () => {
  const [, token] = sourceSenders.find(([name]) => name === 'GitLab with a secret token') ?? [];
  const call = { secret: 'whsec_eA==', event: 'Push Hook', body: '{}', deliveryId: 'd', at: new Date(0) };
  const headers = new Headers(token?.headers(call));
  const isValid = () => sourceHosts.gitlab.signatureCheck(headers, { secrets: [call.secret], now: call.at }).isValid();
  expect(isValid()).toBe(true);
  headers.set('webhook-signature', 'v1,AAAA');
  expect(isValid()).toBe(false);
});
