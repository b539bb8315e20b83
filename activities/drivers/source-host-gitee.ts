import { z } from 'zod';
import type { CommitState } from '../../domain/commit-status.ts';
import { hookDelete, hooksByUrl, hookUpsert, ifTaken } from './source-host-hook.ts';
import type { HostRest } from './source-host-rest.ts';
import type { CodePlace, SourceHostClient } from './source-host.ts';

const states: Readonly<Record<CommitState, { status: string; conclusion?: string }>> = {
  pending: { status: 'queued' },
  running: { status: 'in_progress' },
  success: { status: 'completed', conclusion: 'success' },
  failure: { status: 'completed', conclusion: 'failure' },
  canceled: { status: 'completed', conclusion: 'cancelled' },
};
const checkRuns = z
  .looseObject({ check_runs: z.array(z.looseObject({ id: z.union([z.string(), z.number()]), name: z.string() })) })
  .catch({ check_runs: [] });

/** Gitee (OpenAPI v5). It signs its deliveries with a key; what others call a commit status is a check here. */
export function createGitee(rest: HostRest): SourceHostClient {
  const api = `${rest.baseUrl}/api/v5`;
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
          // 1: sign with the key instead of sending a password.
          body: { url, encryption_type: 1, password: secret, push_events: true, tag_push_events: true },
          listed: hooksByUrl,
        },
        url,
        call,
      ),
    hookRemove: (code, hookRef, call) => hookDelete(rest, `${repository(code)}/hooks`, hookRef, call),
    async statusSet(code, { commit, context, state, description, url }, call) {
      const listUrl = `${repository(code)}/commits/${commit}/check-runs?per_page=100`;
      const { check_runs: runs } = checkRuns.parse(await rest.call({ method: 'GET', url: listUrl }, call));
      const known = runs.find(({ name }) => name === context);
      const body = {
        name: context,
        head_sha: commit,
        details_url: url,
        output: { title: description, summary: description },
        ...states[state],
      };
      const checks = `${repository(code)}/check-runs`;
      if (known === undefined) await rest.call({ method: 'POST', url: checks, body }, call);
      else await rest.call({ method: 'PATCH', url: `${checks}/${encodeURIComponent(String(known.id))}`, body }, call);
    },
    deliveries: null,
  };
}
