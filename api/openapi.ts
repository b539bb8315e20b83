import type { OpenAPIHono } from '@hono/zod-openapi';
import type { ApiEnv } from './env.ts';

/** The OpenAPI 3.1 document of every route; committed as `openapi.json`. */
export function openApiDocument(app: Pick<OpenAPIHono<ApiEnv>, 'getOpenAPI31Document' | 'openAPIRegistry'>) {
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' });
  app.openAPIRegistry.registerComponent('securitySchemes', 'session', { type: 'apiKey', in: 'cookie', name: 'sid' });
  return app.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'Slipway',
      version: '1',
      description:
        'Delivery chains for container images. Errors are RFC 9457 problem details; lists take limit and cursor; POST takes an Idempotency-Key.',
      license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
    },
    security: [{ token: [] }, { session: [] }],
  });
}
