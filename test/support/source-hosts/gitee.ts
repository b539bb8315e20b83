import { hookShelf } from './hook-shelf.ts';
import { jsonOf, textOf } from './host-script.ts';
import type { HostAnswer, HostRequest, HostState, SaidStatus } from './host-script.ts';

const repository = '/api/v5/repos/acme/web';

/** Gitee OpenAPI v5: the current user, repository webhooks, checks. */
export function giteeScript(request: HostRequest, state: HostState): HostAnswer | undefined {
  const { method, path } = request;
  if (`${method} ${path}` === 'GET /api/v5/user') return { status: 200, body: { id: 1, login: 'ci' } };
  const listed = /^\/api\/v5\/repos\/acme\/web\/commits\/([0-9a-f]{40})\/check-runs$/.exec(path)?.[1];
  if (method === 'GET' && listed !== undefined) return listChecks(state, listed);
  if (path === `${repository}/check-runs` && method === 'POST') return setCheck(request, state);
  if (path.startsWith(`${repository}/check-runs/`) && method === 'PATCH') return setCheck(request, state);
  return hookShelf(request, state, {
    path: `${repository}/hooks`,
    updateWith: 'PATCH',
    show: ({ id, body }) => ({ id: Number(id), url: textOf(body, 'url'), push_events: true }),
    list: (hooks) => hooks,
    withoutRight: 403,
    newId: String,
  });
}

function listChecks(state: HostState, commit: string): HostAnswer {
  const names = new Set(state.statuses.filter((status) => status.commit === commit).map(({ context }) => context));
  return {
    status: 200,
    body: { total_count: names.size, check_runs: [...names].map((name, index) => ({ id: index + 1, name })) },
  };
}

function setCheck(request: HostRequest, state: HostState): HostAnswer {
  const body = jsonOf(request);
  if (!state.maySetStatus) return { status: 403, body: { message: 'repository administrators only' } };
  const status: SaidStatus = {
    commit: textOf(body, 'head_sha'),
    state: textOf(body, 'conclusion') || textOf(body, 'status'),
    context: textOf(body, 'name'),
    description: textOf(body, 'output.summary'),
    url: textOf(body, 'details_url'),
  };
  state.statuses.push(status);
  return { status: request.method === 'POST' ? 201 : 200, body: { id: 1 } };
}
