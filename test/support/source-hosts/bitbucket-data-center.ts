import { hookShelf } from './hook-shelf.ts';
import { jsonOf, textOf } from './host-script.ts';
import type { HostAnswer, HostRequest, HostState } from './host-script.ts';

const repository = '/rest/api/latest/projects/acme/repos/web';

/** Bitbucket Data Center REST: projects, repository webhooks, build statuses. */
export function bitbucketDataCenterScript(request: HostRequest, state: HostState): HostAnswer | undefined {
  const { method, path } = request;
  if (`${method} ${path}` === 'GET /rest/api/latest/projects') return { status: 200, body: { size: 0, values: [] } };
  const commit = /^\/rest\/api\/latest\/projects\/acme\/repos\/web\/commits\/([0-9a-f]{40})\/builds$/.exec(path)?.[1];
  if (method === 'POST' && commit !== undefined) return setStatus(request, state, commit);
  return hookShelf(request, state, {
    path: `${repository}/webhooks`,
    updateWith: 'PUT',
    show: ({ id, body }) => ({ id: Number(id), url: textOf(body, 'url'), active: true, events: ['repo:refs_changed'] }),
    list: (values) => ({ size: values.length, isLastPage: true, values }),
    withoutRight: 403,
    newId: String,
  });
}

function setStatus(request: HostRequest, state: HostState, commit: string): HostAnswer {
  const body = jsonOf(request);
  if (!state.maySetStatus) return { status: 403, body: { errors: [{ message: 'You lack REPO_READ' }] } };
  state.statuses.push({
    commit,
    state: textOf(body, 'state'),
    context: textOf(body, 'key'),
    description: textOf(body, 'description'),
    url: textOf(body, 'url'),
  });
  return { status: 204 };
}
