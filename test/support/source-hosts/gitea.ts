import { hookShelf } from './hook-shelf.ts';
import { jsonOf, textOf } from './host-script.ts';
import type { HostAnswer, HostRequest, HostState } from './host-script.ts';

const repository = '/api/v1/repos/acme/web';

/** Gitea and Forgejo API v1: the current user, repository webhooks, commit statuses. */
export function giteaScript(request: HostRequest, state: HostState): HostAnswer | undefined {
  const { method, path } = request;
  if (`${method} ${path}` === 'GET /api/v1/user') return { status: 200, body: { id: 1, login: 'ci' } };
  const commit = /^\/api\/v1\/repos\/acme\/web\/statuses\/([0-9a-f]{40})$/.exec(path)?.[1];
  if (method === 'POST' && commit !== undefined) return setStatus(request, state, commit);
  return hookShelf(request, state, {
    path: `${repository}/hooks`,
    updateWith: 'PATCH',
    show: ({ id, body }) => ({ id: Number(id), type: 'gitea', config: { url: textOf(body, 'config.url') } }),
    list: (hooks) => hooks,
    withoutRight: 403,
    newId: String,
  });
}

function setStatus(request: HostRequest, state: HostState, commit: string): HostAnswer {
  const body = jsonOf(request);
  if (!state.maySetStatus) return { status: 403, body: { message: 'token does not have the required scope' } };
  if (!['pending', 'success', 'error', 'failure', 'warning'].includes(textOf(body, 'state'))) return { status: 422 };
  state.statuses.push({
    commit,
    state: textOf(body, 'state'),
    context: textOf(body, 'context'),
    description: textOf(body, 'description'),
    url: textOf(body, 'target_url'),
  });
  return { status: 201, body };
}
