import { jsonOf } from './host-script.ts';
import type { HostAnswer, HostHook, HostRequest, HostState } from './host-script.ts';

/** How a host keeps webhooks: where, and how it shows one. */
export interface Shelf {
  readonly path: string;
  readonly updateWith: 'PUT' | 'PATCH';
  readonly show: (hook: HostHook) => unknown;
  /** The list's own form. */
  readonly list: (hooks: readonly unknown[]) => unknown;
  /** What a token without the right is answered. */
  readonly withoutRight: number;
  readonly newId: (number: number) => string;
}

/** The four calls every host has for webhooks. */
export function hookShelf(request: HostRequest, state: HostState, shelf: Shelf): HostAnswer | undefined {
  const { method, path } = request;
  if (path !== shelf.path && !path.startsWith(`${shelf.path}/`)) return undefined;
  if (!state.mayHook) return { status: shelf.withoutRight, body: { message: 'No right to the webhooks' } };
  if (path === shelf.path) {
    if (method === 'GET') return { status: 200, body: shelf.list(state.hooks.map(shelf.show)) };
    if (method !== 'POST') return { status: 405 };
    const hook = { id: shelf.newId(state.hooks.length + 1), body: jsonOf(request) };
    state.hooks.push(hook);
    return { status: 201, body: shelf.show(hook) };
  }
  const id = path.slice(shelf.path.length + 1);
  const index = state.hooks.findIndex((hook) => hook.id === id);
  if (index < 0) return { status: 404, body: { message: 'Not Found' } };
  if (method === 'DELETE') {
    state.hooks.splice(index, 1);
    return { status: 204 };
  }
  if (method !== shelf.updateWith) return { status: 405 };
  const hook = { id, body: jsonOf(request) };
  state.hooks[index] = hook;
  return { status: 200, body: shelf.show(hook) };
}
