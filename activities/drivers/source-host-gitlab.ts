import type { CommitState } from '../../domain/commit-status.ts';
import { HostError } from '../../domain/source-host-error.ts';
import { hookDelete, hooksByUrl, hookUpsert, ifTaken } from './source-host-hook.ts';
import type { HostRest } from './source-host-rest.ts';
import type { CodePlace, SourceHostClient } from './source-host.ts';

const states: Readonly<Record<CommitState, string>> = {
  pending: 'pending',
  running: 'running',
  success: 'success',
  failure: 'failed',
  canceled: 'canceled',
};

/** gitlab.com and self-managed GitLab (REST API v4). */
export function createGitlab(rest: HostRest): SourceHostClient {
  const api = `${rest.baseUrl}/api/v4`;
  const project = ({ codeNamespace, codeRepository }: CodePlace) =>
    `${api}/projects/${encodeURIComponent(`${codeNamespace}/${codeRepository}`)}`;
  return {
    credentialCheck: (call) => ifTaken(rest.call({ method: 'GET', url: `${api}/user` }, call)),
    hookInstall: (code, { url, secret }, call) =>
      hookUpsert(
        rest,
        {
          url: `${project(code)}/hooks`,
          updateWith: 'PUT',
          // GitLab before 19 knows no signing token and ignores it; it then sends the plain one.
          body: {
            url,
            token: secret,
            signing_token: secret,
            push_events: true,
            tag_push_events: true,
            enable_ssl_verification: true,
          },
          listed: hooksByUrl,
        },
        url,
        call,
      ),
    hookRemove: (code, hookRef, call) => hookDelete(rest, `${project(code)}/hooks`, hookRef, call),
    async statusSet(code, { commit, context, state, description, url }, call) {
      const body = { state: states[state], name: context, target_url: url, description };
      try {
        await rest.call({ method: 'POST', url: `${project(code)}/statuses/${commit}`, body }, call);
      } catch (error) {
        if (!isSameState(error)) throw error;
      }
    },
    deliveries: null,
  };
}

/** GitLab refuses to be told a state twice: "Cannot transition status via :run from :running". */
function isSameState(error: unknown): boolean {
  return error instanceof HostError && error.status === 400 && /Cannot transition status/.test(error.message);
}
