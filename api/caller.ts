import type { HttpBindings } from '@hono/node-server';
import type { Context } from 'hono';
import { z } from 'zod';
import { clientAddress } from '../domain/client-address.ts';
import type { ApiEnv } from './env.ts';

/** What the HTTP server hands over with a request; a request that came over no socket has nothing. */
const bindingsSchema = z.object({
  incoming: z.custom<HttpBindings['incoming']>((incoming) => typeof incoming === 'object' && incoming !== null),
});

/** The address a request comes from, past the proxies we trust; undefined when it came over no socket. */
export function addressOf(c: Context<ApiEnv>, trustedProxies: readonly string[]): string | undefined {
  const bindings = bindingsSchema.safeParse(c.env);
  const remote = bindings.success ? bindings.data.incoming.socket?.remoteAddress : undefined;
  if (remote === undefined) return undefined;
  return clientAddress({ remote, forwardedFor: c.req.header('x-forwarded-for') }, trustedProxies);
}
