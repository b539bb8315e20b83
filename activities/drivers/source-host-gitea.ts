import type { CommitState } from '../../domain/commit-status.ts';
import { hookDelete, hooksByConfig, hookUpsert, ifTaken } from './source-host-hook.ts';
import type { HostRest } from './source-host-rest.ts';
import type { CodePlace, SourceHostClient } from './source-host.ts';

/** GitHub's words as it happens: the list is Gitea's own and has others too (`warning`, `skipped`). */
const states: Readonly<Record<CommitState, string>> = {
  pending: 'pending',
  running: 'pending',
  success: 'success',
  failure: 'failure',
  canceled: 'error',
};

/** Gitea and Forgejo (API v1). Their `push` tells of tags too, so `create` is not asked for. */
export function createGitea(rest: HostRest): SourceHostClient {
  const api = `${rest.baseUrl}/api/v1`;
  const repository = ({ codeNamespace, codeRepository }: CodePlace) =>
    `${api}/repos/${encodeURIComponent(codeNamespace)}/${encodeURIComponent(codeRepository)}`;
  return {
    credentialCheck: (call) => ifTaken(rest.call({ method: 'GET', url: `${api}/user` }, call)),
    hookInstall: (code, { url, secret }, call) =>
      hookUpsert(
        rest,
        {
          url: `${repository(code)}/hooks`,
          updateWith: 'PATCH',
          body: {
            type: 'gitea',
            active: true,
            events: ['push'],
            branch_filter: '*',
            config: { url, content_type: 'json', secret },
          },
          listed: hooksByConfig,
        },
        url,
        call,
      ),
    hookRemove: (code, hookRef, call) => hookDelete(rest, `${repository(code)}/hooks`, hookRef, call),
    async statusSet(code, { commit, context, state, description, url }, call) {
      const body = { state: states[state], target_url: url, description, context };
      await rest.call({ method: 'POST', url: `${repository(code)}/statuses/${commit}`, body }, call);
    },
    deliveries: null,
  };
}
