import { z } from 'zod';
import type { CommitState } from '../../domain/commit-status.ts';
import { hookDelete, hookUpsert } from './source-host-hook.ts';
import type { HostRest } from './source-host-rest.ts';
import type { CodePlace, SourceHostClient } from './source-host.ts';

const states: Readonly<Record<CommitState, string>> = {
  pending: 'INPROGRESS',
  running: 'INPROGRESS',
  success: 'SUCCESSFUL',
  failure: 'FAILED',
  canceled: 'CANCELLED',
};
const hooks = z
  .looseObject({
    values: z.array(z.looseObject({ id: z.union([z.string(), z.number()]), url: z.string().optional() })),
  })
  .catch({ values: [] });

/** Bitbucket Data Center (REST API, `latest`). */
export function createBitbucketDataCenter(rest: HostRest): SourceHostClient {
  const api = `${rest.baseUrl}/rest/api/latest`;
  const repository = ({ codeNamespace, codeRepository }: CodePlace) =>
    `${api}/projects/${encodeURIComponent(codeNamespace)}/repos/${encodeURIComponent(codeRepository)}`;
  return {
    // Everybody may ask, but a wrong credential is answered 401.
    credentialCheck: async (call) => {
      await rest.call({ method: 'GET', url: `${api}/projects?limit=1` }, call);
    },
    hookInstall: (code, { url, secret }, call) =>
      hookUpsert(
        rest,
        {
          url: `${repository(code)}/webhooks`,
          updateWith: 'PUT',
          body: { name: 'Slipway', url, active: true, events: ['repo:refs_changed'], configuration: { secret } },
          listed: (answer) => hooks.parse(answer).values.map((hook) => ({ id: String(hook.id), url: hook.url })),
        },
        url,
        call,
      ),
    hookRemove: (code, hookRef, call) => hookDelete(rest, `${repository(code)}/webhooks`, hookRef, call),
    async statusSet(code, { commit, context, state, description, url }, call) {
      const body = { key: context, state: states[state], name: context, description, url };
      await rest.call({ method: 'POST', url: `${repository(code)}/commits/${commit}/builds`, body }, call);
    },
    deliveries: null,
  };
}
