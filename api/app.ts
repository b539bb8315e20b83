import { OpenAPIHono } from '@hono/zod-openapi';
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { limits } from '../domain/limits.ts';
import { requireLogin } from './auth.ts';
import { consoleFiles } from './console-files.ts';
import type { ApiDeps } from './deps.ts';
import type { ApiEnv } from './env.ts';
import { onError, routeNotFound, tooLarge } from './errors.ts';
import { idempotency } from './idempotency.ts';
import { requestLog, securityHeaders } from './middleware.ts';
import { openApiDocument } from './openapi.ts';
import { buildCacheRoutes } from './routes/build-cache.ts';
import { baseImageRoutes } from './routes/base-image.ts';
import { buildLogRoutes } from './routes/build-log.ts';
import { buildWorkerRoutes } from './routes/build-worker.ts';
import { buildRoutes } from './routes/build.ts';
import { buildRuleRoutes } from './routes/build-rule.ts';
import { buildRuleImportRoutes } from './routes/build-rule-import.ts';
import { buildRulePreviewRoutes } from './routes/build-rule-preview.ts';
import { buildSecretRoutes } from './routes/build-secret.ts';
import { chainRoutes } from './routes/chain.ts';
import { docsRoutes } from './routes/docs.ts';
import { eventRoutes } from './routes/events.ts';
import { instanceRoutes } from './routes/instance.ts';
import { namespaceRoutes } from './routes/namespace.ts';
import { replicateRoutes } from './routes/replicate.ts';
import { repositoryRoutes } from './routes/repository.ts';
import { recordRoutes } from './routes/record.ts';
import { replicationTaskRoutes } from './routes/replication-task.ts';
import { scanRoutes } from './routes/scan.ts';
import { sessionRoutes } from './routes/session.ts';
import { sourceAccountRoutes } from './routes/source-account.ts';
import {
  oauthCallbackRefusals,
  oauthCallbackRoutes,
  sourceAuthorizationRoutes,
} from './routes/source-authorization.ts';
import { sourceBrowseRoutes } from './routes/source-browse.ts';
import { sourceRoutes } from './routes/source.ts';
import { sourceEventRoutes } from './routes/source-event.ts';
import { sourceHookRoutes } from './routes/source-hook.ts';
import { healthRoutes, systemRoutes } from './routes/system.ts';
import { authorizationTokenRoutes, tokenServiceRoutes } from './routes/token.ts';
import { storableText } from './storable-text.ts';
import { tagRoutes } from './routes/tag.ts';
import { triggerDeliveryRoutes } from './routes/trigger-delivery.ts';
import { triggerRoutes } from './routes/trigger.ts';

/** The whole HTTP API: middleware, then one line per file of routes. Paths are a contract (docs/product.md, section 17). */
export function createApp(deps: ApiDeps) {
  const app = new OpenAPIHono<ApiEnv>();
  app.onError(onError(deps));
  app.notFound((c) => {
    throw routeNotFound(c.req.method, c.req.path);
  });
  app.use(requestLog(deps), securityHeaders());

  const isSmall = bodyLimit({
    maxSize: limits.apiBodyBytes,
    onError: () => {
      throw tooLarge();
    },
  });
  app.use('/v1/*', isSmall);
  app.use('/v1/*', exceptLogin(requireLogin(deps)), storableText(), exceptLogin(idempotency(deps)));

  app.use('/oauth/*', oauthCallbackRefusals(deps), requireLogin(deps));

  app.route('/', healthRoutes(deps));
  app.route('/', sourceHookRoutes(deps));
  app.route('/oauth', oauthCallbackRoutes(deps));
  app.route('/docs', docsRoutes());
  app.route('/v1', systemRoutes(deps));
  app.route('/v1', sessionRoutes(deps));
  app.route('/v1', recordRoutes(deps));
  app.route('/v1', buildRoutes(deps));
  app.route('/v1', buildWorkerRoutes(deps));
  app.route('/v1', buildCacheRoutes(deps));
  app.route('/v1', buildLogRoutes(deps));
  app.route('/v1', eventRoutes(deps));
  app.route('/v1', sourceEventRoutes(deps));
  app.route('/v1', tagRoutes(deps));
  app.route('/v1', scanRoutes(deps));
  app.route('/v1', replicationTaskRoutes(deps));
  app.route('/v1', triggerDeliveryRoutes(deps));
  app.route('/v1', instanceRoutes(deps));
  app.route('/v1', baseImageRoutes(deps));
  app.route('/v1', namespaceRoutes(deps));
  app.route('/v1', repositoryRoutes(deps));
  app.route('/v1', sourceAccountRoutes(deps));
  app.route('/v1', sourceAuthorizationRoutes(deps));
  app.route('/v1', sourceRoutes(deps));
  app.route('/v1', sourceBrowseRoutes(deps));
  app.route('/v1', buildRuleRoutes(deps));
  app.route('/v1', buildRulePreviewRoutes(deps));
  app.route('/v1', buildRuleImportRoutes(deps));
  app.route('/v1', buildSecretRoutes(deps));
  app.route('/v1', chainRoutes(deps));
  app.route('/v1', replicateRoutes(deps));
  app.route('/v1', triggerRoutes(deps));
  app.route('/v1', authorizationTokenRoutes(deps));
  app.route('/auth', tokenServiceRoutes(deps));

  let document: ReturnType<typeof openApiDocument> | undefined;
  app.get('/openapi.json', (c) => c.json((document ??= openApiDocument(app))));
  if (deps.config.SLIPWAY_CONSOLE_DIR !== undefined) app.get('*', consoleFiles(deps.config.SLIPWAY_CONSOLE_DIR));
  return app;
}

/** Logging in is the one call below /v1 that brings its credential in its body. */
function exceptLogin(middleware: MiddlewareHandler<ApiEnv>): MiddlewareHandler<ApiEnv> {
  return (c, next) => (c.req.method === 'POST' && c.req.path === '/v1/sessions' ? next() : middleware(c, next));
}
