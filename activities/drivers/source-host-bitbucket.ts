import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CommitState } from '../../domain/commit-status.ts';
import { hookDelete, hookUpsert, ifTaken } from './source-host-hook.ts';
import type { HostRest } from './source-host-rest.ts';
import type { CodePlace, SourceHostClient } from './source-host.ts';

const states: Readonly<Record<CommitState, string>> = {
  pending: 'INPROGRESS',
  running: 'INPROGRESS',
  success: 'SUCCESSFUL',
  failure: 'FAILED',
  canceled: 'STOPPED',
};
const keyLength = 40;
const hooks = z
  .looseObject({ values: z.array(z.looseObject({ uuid: z.string(), url: z.string().optional() })) })
  .catch({ values: [] });

/** Bitbucket Cloud (REST API 2.0). */
export function createBitbucket(rest: HostRest): SourceHostClient {
  const api = rest.baseUrl === 'https://bitbucket.org' ? 'https://api.bitbucket.org/2.0' : `${rest.baseUrl}/!api/2.0`;
  const repository = ({ codeNamespace, codeRepository }: CodePlace) =>
    `${api}/repositories/${encodeURIComponent(codeNamespace)}/${encodeURIComponent(codeRepository)}`;
  return {
    credentialCheck: (call) => ifTaken(rest.call({ method: 'GET', url: `${api}/user` }, call)),
    hookInstall: (code, { url, secret }, call) =>
      hookUpsert(
        rest,
        {
          url: `${repository(code)}/hooks`,
          updateWith: 'PUT',
          body: { description: 'Slipway', url, active: true, secret, events: ['repo:push'] },
          listed: (answer) => hooks.parse(answer).values.map((hook) => ({ id: hook.uuid, url: hook.url })),
        },
        url,
        call,
      ),
    hookRemove: (code, hookRef, call) => hookDelete(rest, `${repository(code)}/hooks`, hookRef, call),
    async statusSet(code, { commit, context, state, description, url }, call) {
      const body = { key: keyOf(context), state: states[state], name: context, description, url };
      await rest.call({ method: 'POST', url: `${repository(code)}/commit/${commit}/statuses/build`, body }, call);
    },
    deliveries: null,
  };
}

/** A status' key has at most 40 characters. */
function keyOf(context: string): string {
  return context.length <= keyLength ? context : createHash('sha1').update(context).digest('hex');
}
