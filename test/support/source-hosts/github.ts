import { hookShelf } from './hook-shelf.ts';
import { jsonOf, textOf } from './host-script.ts';
import type { HostAnswer, HostRequest, HostState } from './host-script.ts';

const api = '/api/v3';
const repository = `${api}/repos/acme/web`;

/** GitHub REST 2022-11-28: rate limit, repository webhooks and their deliveries, commit statuses, Apps. */
export function githubScript(request: HostRequest, state: HostState): HostAnswer | undefined {
  const { method, path } = request;
  const asked = `${method} ${path}`;
  if (asked === `GET ${api}/rate_limit`) return { status: 200, body: { resources: {} } };
  if (asked === `GET ${api}/user/installations`) {
    const installations = state.installations.map((id) => ({ id }));
    return { status: 200, body: { total_count: installations.length, installations } };
  }
  if (method === 'POST' && /^\/api\/v3\/app\/installations\/\d+\/access_tokens$/.test(path))
    return { status: 201, body: { token: state.token, expires_at: '2026-11-21T13:00:00Z' } };
  if (asked === `GET ${repository}/hooks/1/deliveries`) return { status: 200, body: deliveries };
  if (asked === `POST ${repository}/hooks/1/deliveries/12345/attempts`) return { status: 202, body: {} };
  const commit = /^\/api\/v3\/repos\/acme\/web\/statuses\/([0-9a-f]{40})$/.exec(path)?.[1];
  if (method === 'POST' && commit !== undefined) return setStatus(request, state, commit);
  return hookShelf(request, state, {
    path: `${repository}/hooks`,
    updateWith: 'PATCH',
    show: ({ id, body }) => ({ id: Number(id), active: true, config: { url: textOf(body, 'config.url') } }),
    list: (hooks) => hooks,
    // GitHub hides what a token may not do.
    withoutRight: 404,
    newId: String,
  });
}

const deliveries = [
  {
    id: 12345,
    guid: '0b989ba4-242f-11e5-81e1-c7b6966d2516',
    delivered_at: '2026-11-21T11:00:00Z',
    redelivery: false,
    status: 'Invalid HTTP Response: 503',
    status_code: 503,
    event: 'push',
  },
  { id: 12344, guid: 'a', delivered_at: '2026-11-21T10:00:00Z', status: 'OK', status_code: 202, event: 'push' },
];

function setStatus(request: HostRequest, state: HostState, commit: string): HostAnswer {
  const body = jsonOf(request);
  if (!state.maySetStatus)
    return { status: 403, body: { message: 'Resource not accessible by personal access token' } };
  if (!['error', 'failure', 'pending', 'success'].includes(textOf(body, 'state'))) return { status: 422 };
  if (textOf(body, 'description').length > 140) return { status: 422, body: { message: 'description is too long' } };
  state.statuses.push({
    commit,
    state: textOf(body, 'state'),
    context: textOf(body, 'context'),
    description: textOf(body, 'description'),
    url: textOf(body, 'target_url'),
  });
  return { status: 201, body };
}
