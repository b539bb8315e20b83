import { z } from 'zod';
import type { CommitState } from '../../domain/commit-status.ts';
import { hookDelete, hooksByConfig, hookUpsert, ifTaken } from './source-host-hook.ts';
import type { HostRest } from './source-host-rest.ts';
import type { CodePlace, SourceHostClient } from './source-host.ts';

const headers = { accept: 'application/vnd.github+json', 'x-github-api-version': '2022-11-28' };
const states: Readonly<Record<CommitState, string>> = {
  pending: 'pending',
  running: 'pending',
  success: 'success',
  failure: 'failure',
  canceled: 'error',
};
const deliveries = z.array(
  z.looseObject({
    id: z.union([z.string(), z.number()]).transform(String),
    guid: z.string(),
    delivered_at: z.string(),
    event: z.string(),
    status_code: z.number(),
  }),
);

/** Where the API of a GitHub address answers; Enterprise Server has it below its own. */
export function githubApi(baseUrl: string): string {
  return baseUrl === 'https://github.com' ? 'https://api.github.com' : `${baseUrl}/api/v3`;
}

/** github.com and GitHub Enterprise Server (REST API 2022-11-28). */
export function createGithub(plain: HostRest): SourceHostClient {
  const api = githubApi(plain.baseUrl);
  const rest: HostRest = { ...plain, call: (request, call) => plain.call({ ...request, headers }, call) };
  const repository = ({ codeNamespace, codeRepository }: CodePlace) =>
    `${api}/repos/${encodeURIComponent(codeNamespace)}/${encodeURIComponent(codeRepository)}`;
  return {
    // Answers every kind of token; Enterprise Server may have limits switched off, then it says 404.
    credentialCheck: (call) => ifTaken(rest.call({ method: 'GET', url: `${api}/rate_limit` }, call)),
    hookInstall: (code, { url, secret }, call) =>
      hookUpsert(
        rest,
        {
          url: `${repository(code)}/hooks`,
          updateWith: 'PATCH',
          body: {
            name: 'web',
            active: true,
            events: ['push'],
            config: { url, content_type: 'json', secret, insecure_ssl: '0' },
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
    deliveries: {
      async deliveriesList(code, hookRef, call) {
        const url = `${repository(code)}/hooks/${encodeURIComponent(hookRef)}/deliveries?per_page=100`;
        return deliveries.parse(await rest.call({ method: 'GET', url }, call)).map((delivery) => ({
          id: delivery.id,
          deliveryId: delivery.guid,
          deliveredAt: delivery.delivered_at,
          event: delivery.event,
          isDelivered: delivery.status_code >= 200 && delivery.status_code < 300,
        }));
      },
      async deliveryRedeliver(code, { hookRef, id }, call) {
        const hook = `${repository(code)}/hooks/${encodeURIComponent(hookRef)}`;
        await rest.call({ method: 'POST', url: `${hook}/deliveries/${encodeURIComponent(id)}/attempts` }, call);
      },
    },
  };
}
