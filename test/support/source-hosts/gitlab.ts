import { hookShelf } from './hook-shelf.ts';
import { jsonOf, textOf } from './host-script.ts';
import type { HostAnswer, HostRequest, HostState } from './host-script.ts';

const project = '/api/v4/projects/acme/web';

/** GitLab REST v4: the current user, project webhooks, commit statuses. */
export function gitlabScript(request: HostRequest, state: HostState): HostAnswer | undefined {
  const { method, path } = request;
  if (`${method} ${path}` === 'GET /api/v4/user') return { status: 200, body: { id: 1, username: 'ci' } };
  const commit = /^\/api\/v4\/projects\/acme\/web\/statuses\/([0-9a-f]{40})$/.exec(path)?.[1];
  if (method === 'POST' && commit !== undefined) return setStatus(request, state, commit);
  return hookShelf(request, state, {
    path: `${project}/hooks`,
    updateWith: 'PUT',
    show: ({ id, body }) => ({ id: Number(id), url: textOf(body, 'url'), push_events: true, tag_push_events: true }),
    list: (hooks) => hooks,
    withoutRight: 403,
    newId: String,
  });
}

function setStatus(request: HostRequest, state: HostState, commit: string): HostAnswer {
  const body = jsonOf(request);
  const wanted = textOf(body, 'state');
  if (!state.maySetStatus) return { status: 403, body: { message: '403 Forbidden' } };
  if (!['pending', 'running', 'success', 'failed', 'canceled'].includes(wanted)) return { status: 400 };
  const last = state.statuses.findLast((status) => status.commit === commit && status.context === textOf(body, 'name'));
  if (last?.state === wanted && (wanted === 'running' || wanted === 'pending'))
    return { status: 400, body: { message: `Cannot transition status via :run from :${wanted}` } };
  state.statuses.push({
    commit,
    state: wanted,
    context: textOf(body, 'name'),
    description: textOf(body, 'description'),
    url: textOf(body, 'target_url'),
  });
  return { status: 201, body };
}
