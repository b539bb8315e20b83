import { OpenAPIHono, createRoute, z } from '@hono/zod-openapi';
import type { RouteConfig } from '@hono/zod-openapi';
import { invalidRequest } from '../domain/errors.ts';
import type { ApiEnv } from './env.ts';
import { fieldErrors } from './field-errors.ts';

/** What every route must say of itself, published as `x-action`, `x-resource` and the example of its answer. */
export interface RouteMeta {
  /** The right it needs, by the names of docs/product.md, section 14: `cr:GetInstance`; null where none is. */
  readonly action: `cr:${string}` | null;
  /** What the right is needed on: `instance/{instance}`, `repository/{instance}/{namespace}/{repository}`, or `*`. */
  readonly resource: string;
  /** Example of the successful answer's body; null where it has none. */
  readonly example: unknown;
}

/** Any error, as RFC 9457 problem details. */
const problemSchema = z
  .object({
    type: z.url().openapi({ description: 'Address of the page that explains the code.' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().openapi({ description: 'What happened, why, and what to do.' }),
    code: z.string(),
    requestId: z.string(),
    errors: z.array(z.object({ pointer: z.string(), code: z.string(), message: z.string() })),
  })
  .openapi('Problem');

const problemContent = { 'application/problem+json': { schema: problemSchema } };
const errorResponses = {
  '4XX': {
    description: 'The request cannot be carried out; the problem says why and what to do.',
    content: problemContent,
  },
  '5XX': { description: 'Slipway or something behind it failed.', content: problemContent },
};

/** `createRoute` of @hono/zod-openapi, with what every route must say added. Chain `.openapi(route, handler)` calls, or clients lose their types. */
export function route<P extends string, R extends Omit<RouteConfig, 'path'> & { path: P }>(meta: RouteMeta, config: R) {
  const described = createRoute<P, R>(config);
  for (const [status, response] of Object.entries(described.responses)) {
    if (!status.startsWith('2')) continue;
    const json = 'content' in response ? response.content?.['application/json'] : undefined;
    if (json !== undefined && meta.example !== null) Object.assign(json, { example: meta.example });
  }
  Object.assign(described.responses, errorResponses);
  return Object.assign(described, { 'x-action': meta.action, 'x-resource': meta.resource });
}

/** An empty set of routes; a request that fails its schema becomes 422 `request.invalid` with codes that start with `thing`. */
export function newRoutes(thing: string) {
  return new OpenAPIHono<ApiEnv>({
    defaultHook: (result) => {
      if (result.success) return;
      throw invalidRequest(fieldErrors(result.error.issues, { thing, target: result.target }));
    },
  });
}

/** A JSON answer or body of a route. */
export function json<Schema extends z.ZodType>(schema: Schema, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** A required JSON body. */
export function jsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: true, content: { 'application/json': { schema } } };
}

/** A JSON body that may be left out; the schema's defaults then hold. */
export function optionalJsonBody<Schema extends z.ZodType>(schema: Schema) {
  return { required: false, content: { 'application/json': { schema } } };
}

const pathPart = z.string().min(1).max(255);

/** `{id}` in a path. */
export const idParam = z.object({ id: pathPart });

/** `{instance}` in a path: an id or a name. */
export const instanceParam = z.object({ instance: pathPart });

/** A 204. */
export const noContent = { description: 'Done; the answer has no body.' };

/** A 304: the caller holds this version already. */
export const notModified = { description: 'Unchanged since the version of If-None-Match.' };
