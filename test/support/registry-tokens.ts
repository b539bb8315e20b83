import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRegistryTokens } from '../../activities/drivers/registry-token.ts';
import { parseTokenKey, publicJwks } from '../../activities/drivers/token-key.ts';

/** A token service for real registries: one user, every scope granted but those of repositories under `closed/`. */
export interface RegistryTokenService {
  readonly credentials: { readonly username: string; readonly password: string };
  /** The `auth` section of a registry that trusts it. */
  readonly auth: Readonly<Record<string, unknown>>;
  stop(): Promise<void>;
}

const service = 'test-registry';
const credentials = { username: 'robot', password: 'only-for-this-test' };

export async function startRegistryTokens(): Promise<RegistryTokenService> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = parseTokenKey(JSON.stringify(privateKey.export({ format: 'jwk' })));
  const tokens = createRegistryTokens({ key });
  const folder = await mkdtemp(join(tmpdir(), 'slipway-jwks-'));
  const jwks = join(folder, 'jwks.json');
  await writeFile(jwks, publicJwks(key));

  const basic = `Basic ${Buffer.from(`${credentials.username}:${credentials.password}`).toString('base64')}`;
  async function answer(url: URL, authorization: string | undefined): Promise<{ status: number; body: string }> {
    if (authorization !== basic) return { status: 401, body: '{}' };
    const { token } = await tokens.sign({
      subject: credentials.username,
      service,
      access: granted(url.searchParams.getAll('scope')),
    });
    return { status: 200, body: JSON.stringify({ token, expires_in: 300 }) };
  }
  const server = createServer((request, response) => {
    answer(new URL(request.url ?? '/', 'http://tokens'), request.headers.authorization).then(
      ({ status, body }) => response.writeHead(status).end(body),
      () => response.destroy(),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the token service has no port');

  return {
    credentials,
    auth: {
      token: {
        realm: `http://127.0.0.1:${address.port}/auth/token`,
        service,
        issuer: 'slipway',
        jwks,
        signingalgorithms: ['ES256'],
      },
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
      await rm(folder, { recursive: true });
    },
  };
}

/** `type:name:action,action`; a subset is no error, as the protocol has it. */
function granted(scopes: readonly string[]): { type: string; name: string; actions: string[] }[] {
  return scopes
    .map((scope) => scope.split(':'))
    .filter(([, name = '']) => !name.startsWith('closed/'))
    .map(([type = '', name = '', actions = '']) => ({ type, name, actions: actions.split(',') }));
}
