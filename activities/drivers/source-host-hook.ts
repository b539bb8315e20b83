import { z } from 'zod';
import { HostError } from '../../domain/source-host-error.ts';
import type { HostRest } from './source-host-rest.ts';
import type { HostCall } from './source-host.ts';

/** How a host keeps the webhooks of one code repository. */
export interface HookShelf {
  /** Address of the list; one hook is below it. */
  readonly url: string;
  readonly updateWith: 'PUT' | 'PATCH';
  readonly body: unknown;
  /** The hooks of a list's answer, with their own addresses. */
  readonly listed: (answer: unknown) => readonly { readonly id: string; readonly url: string | undefined }[];
}

const created = z.looseObject({ id: z.union([z.string(), z.number()]).optional(), uuid: z.string().optional() });

/** Updates the hook with the wanted address, or makes it; answers the host's id. */
export async function hookUpsert(rest: HostRest, shelf: HookShelf, hookUrl: string, call: HostCall): Promise<string> {
  const listUrl = `${shelf.url}?per_page=100&pagelen=100&limit=50`;
  const known = shelf.listed(await rest.call({ method: 'GET', url: listUrl }, call)).find(({ url }) => url === hookUrl);
  if (known !== undefined) {
    const url = `${shelf.url}/${encodeURIComponent(known.id)}`;
    await rest.call({ method: shelf.updateWith, url, body: shelf.body }, call);
    return known.id;
  }
  const answer = created.safeParse(await rest.call({ method: 'POST', url: shelf.url, body: shelf.body }, call));
  const id = answer.data?.uuid ?? answer.data?.id;
  if (id === undefined) throw new HostError('unreachable', 'The host did not say the id of the webhook it made.');
  return String(id);
}

/** Deletes a hook by the host's id; one that is gone is in order. */
export async function hookDelete(rest: HostRest, shelfUrl: string, hookRef: string, call: HostCall): Promise<void> {
  try {
    await rest.call({ method: 'DELETE', url: `${shelfUrl}/${encodeURIComponent(hookRef)}` }, call);
  } catch (error) {
    if (error instanceof HostError && error.kind === 'missing') return;
    throw error;
  }
}

const id = z.union([z.string(), z.number()]).transform(String);
const withUrl = z.array(z.looseObject({ id, url: z.string().optional() })).catch([]);
const withConfig = z
  .array(z.looseObject({ id, config: z.looseObject({ url: z.string().optional() }).catch({}) }))
  .catch([]);

/** Hooks that carry their address as `url`. */
export function hooksByUrl(answer: unknown): readonly { id: string; url: string | undefined }[] {
  return withUrl.parse(answer).map((hook) => ({ id: hook.id, url: hook.url }));
}

/** Hooks that carry it as `config.url`. */
export function hooksByConfig(answer: unknown): readonly { id: string; url: string | undefined }[] {
  return withConfig.parse(answer).map((hook) => ({ id: hook.id, url: hook.config.url }));
}

/** A credential that is taken but may not see who it is: narrow tokens. */
export async function ifTaken(check: Promise<unknown>): Promise<void> {
  try {
    await check;
  } catch (error) {
    if (error instanceof HostError && (error.kind === 'forbidden' || error.kind === 'missing')) return;
    throw error;
  }
}
