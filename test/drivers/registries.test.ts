import { Agent } from 'undici';
import { describe, expect, test, vi } from 'vitest';
import type { LoginTokens } from '../../activities/drivers/login-token.ts';
import { createRegistries, type RegistryInstance } from '../../activities/drivers/registries.ts';
import { createRegistryClient, type RegistryHttpOptions } from '../../activities/drivers/registry.ts';

const managed: RegistryInstance = {
  name: 'hangzhou',
  kind: 'managed',
  registry_url: 'http://127.0.0.1:5001',
  credential_ref: null,
};
const external: RegistryInstance = {
  name: 'partner',
  kind: 'external',
  registry_url: 'https://registry.example.com',
  credential_ref: 'sec-1',
};
const access = [{ repository: 'shop/web', actions: ['pull', 'push'] }] as const;

function registriesOf(instance: RegistryInstance | undefined, secret = '{"username":"ada","password":"hunter2"}') {
  const sign = vi.fn<LoginTokens['sign']>().mockResolvedValue('login-token');
  const endpoints: RegistryHttpOptions[] = [];
  const registries = createRegistries({
    findInstance: async () => instance,
    loginTokens: { sign },
    openSecret: async () => secret,
    tokenServer: 'http://127.0.0.1:8080',
    createClient: (options) => {
      endpoints.push(options);
      return createRegistryClient(options);
    },
    dispatcher: new Agent(),
  });
  return { registries, sign, endpoints };
}

describe('the registries of instances', () => {
  test('a managed instance is logged in to with a token for the access asked for, valid as long as asked', async () => {
    const { registries, sign } = registriesOf(managed);
    expect(await registries.login('hangzhou', access, 600)).toEqual({
      host: '127.0.0.1:5001',
      username: 'slipway',
      password: 'login-token',
      isInsecure: true,
    });
    expect(sign).toHaveBeenCalledWith({ subject: 'slipway', access, instance: 'hangzhou', ttlSeconds: 600 });
  });

  test('a client of a managed instance sends its login to our own token service only', async () => {
    const { registries, endpoints } = registriesOf(managed);
    expect((await registries.client('hangzhou', access)).host).toBe('127.0.0.1:5001');
    expect(endpoints[0]?.endpoint).toEqual({
      url: 'http://127.0.0.1:5001',
      isInsecure: true,
      tokenServer: 'http://127.0.0.1:8080',
    });
  });

  test('an external instance is logged in to with its stored login', async () => {
    const { registries, endpoints } = registriesOf(external);
    expect(await registries.login('partner', access, 600)).toEqual({
      host: 'registry.example.com',
      username: 'ada',
      password: 'hunter2',
      isInsecure: false,
    });
    await registries.client('partner', access);
    expect(endpoints[0]?.endpoint).toEqual({ url: 'https://registry.example.com', isInsecure: false });
  });

  test('an external instance without a login is asked without one', async () => {
    const { registries } = registriesOf({ ...external, credential_ref: null });
    expect(await registries.login('partner', access, 600)).toMatchObject({ username: '', password: '' });
  });

  test('an instance that was deleted meanwhile is told as such', async () => {
    const { registries } = registriesOf(undefined);
    await expect(registries.client('gone', access)).rejects.toThrow('The instance gone does not exist any more.');
  });
});
