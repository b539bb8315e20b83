import { hookShelf } from './hook-shelf.ts';
import { jsonOf, textOf } from './host-script.ts';
import type { HostAnswer, HostRequest, HostState } from './host-script.ts';

const repository = '/!api/2.0/repositories/acme/web';

/** Bitbucket Cloud REST 2.0: the current user, repository webhooks, build statuses. */
export function bitbucketScript(request: HostRequest, state: HostState): HostAnswer | undefined {
  const { method, path } = request;
  if (`${method} ${path}` === 'GET /!api/2.0/user') return { status: 200, body: { username: 'ci' } };
  const commit = /^\/!api\/2\.0\/repositories\/acme\/web\/commit\/([0-9a-f]{40})\/statuses\/build$/.exec(path)?.[1];
  if (method === 'POST' && commit !== undefined) return setStatus(request, state, commit);
  return hookShelf(request, state, {
    path: `${repository}/hooks`,
    updateWith: 'PUT',
    show: ({ id, body }) => ({ uuid: id, url: textOf(body, 'url'), active: true, events: ['repo:push'] }),
    list: (values) => ({ pagelen: 100, values }),
    withoutRight: 403,
    newId: (number) => `{00000000-0000-4000-8000-00000000000${number}}`,
  });
}

function setStatus(request: HostRequest, state: HostState, commit: string): HostAnswer {
  const body = jsonOf(request);
  if (!state.maySetStatus) return { status: 403, body: { error: { message: 'Your credentials lack the scope' } } };
  if (textOf(body, 'key').length > 40) return { status: 400, body: { error: { message: 'key: too long' } } };
  state.statuses.push({
    commit,
    state: textOf(body, 'state'),
    context: textOf(body, 'name'),
    description: textOf(body, 'description'),
    url: textOf(body, 'url'),
  });
  return { status: 201, body };
}
