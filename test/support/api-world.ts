import { create, textAt } from './api.ts';
import type { Answer, TestApi } from './api.ts';

type Caller = Pick<TestApi, 'call'>;

/** A managed instance in a region, registered through the API. */
export async function createInstance(api: Caller, name: string, region = 'cn-hangzhou'): Promise<Answer> {
  return create(api, '/v1/instances', { name, region, registryUrl: 'http://127.0.0.1:5001' });
}

/** A namespace of an instance; answers its id. */
export async function createNamespace(api: Caller, instance: string, name: string, more: object = {}): Promise<string> {
  return textAt(await create(api, `/v1/instances/${instance}/namespaces`, { name, ...more }), 'id');
}

/** A local repository; answers its id. */
export async function createRepository(
  api: Caller,
  namespaceId: string,
  name: string,
  more: object = {},
): Promise<string> {
  return textAt(await create(api, `/v1/namespaces/${namespaceId}/repositories`, { name, ...more }), 'id');
}

/** A plain git host of an instance; answers its id. */
export async function createSourceAccount(api: Caller, instance: string, more: object = {}): Promise<string> {
  const body = { host: 'git', baseUrl: 'http://127.0.0.1:7000', ...more };
  return textAt(await create(api, `/v1/instances/${instance}/source-accounts`, body), 'id');
}

/** The smallest build rule: branch `main` becomes `latest`. */
export const mainRule = { ref: { type: 'branch', name: 'main' }, imageTags: [{ template: 'latest' }] };
