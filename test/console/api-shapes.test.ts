import type { hc, InferResponseType } from 'hono/client';
import { expectTypeOf, test } from 'vitest';
import type { buildCacheRoutes } from '../../api/routes/build-cache.ts';
import type { buildRoutes } from '../../api/routes/build.ts';
import type { buildRuleRoutes } from '../../api/routes/build-rule.ts';
import type { buildRulePreviewRoutes } from '../../api/routes/build-rule-preview.ts';
import type { buildLogRoutes } from '../../api/routes/build-log.ts';
import type { instanceRoutes } from '../../api/routes/instance.ts';
import type { recordRoutes } from '../../api/routes/record.ts';
import type { repositoryRoutes } from '../../api/routes/repository.ts';
import type { scanRoutes } from '../../api/routes/scan.ts';
import type { sourceAccountRoutes } from '../../api/routes/source-account.ts';
import type { sourceAuthorizationRoutes } from '../../api/routes/source-authorization.ts';
import type { sourceBrowseRoutes } from '../../api/routes/source-browse.ts';
import type { sourceEventRoutes } from '../../api/routes/source-event.ts';
import type { sourceRoutes } from '../../api/routes/source.ts';
import type { sessionRoutes } from '../../api/routes/session.ts';
import type { triggerDeliveryRoutes } from '../../api/routes/trigger-delivery.ts';
import type { BuildCache } from '../../console/src/api-build-cache.ts';
import type {
  Delivery,
  Instance,
  LogMatches,
  LogPage,
  LogRanges,
  LogSteps,
  Page,
  Run,
  RunEvent,
  RunRecord,
  ScanFinding,
  Session,
  Step,
} from '../../console/src/api-types.ts';
import type {
  Hook,
  SourceAccount,
  SourceAccountCheck,
  SourceAuthorization,
  SourceBinding,
  SourceEntry,
  SourceEvent,
  SourceRef,
} from '../../console/src/api-source.ts';
import type { Build, BuildRule, Repository, RulePreview } from '../../console/src/api-build.ts';

// What the console reads is what the API's own routes answer; only the results of steps, which the API leaves open, are the
// console's to describe. Checked by the compiler.

type Records = ReturnType<typeof hc<ReturnType<typeof recordRoutes>>>;
type Logs = ReturnType<typeof hc<ReturnType<typeof buildLogRoutes>>>;
type Caches = ReturnType<typeof hc<ReturnType<typeof buildCacheRoutes>>>;
type Builds = ReturnType<typeof hc<ReturnType<typeof buildRoutes>>>;
type Rules = ReturnType<typeof hc<ReturnType<typeof buildRuleRoutes>>>;
type Previews = ReturnType<typeof hc<ReturnType<typeof buildRulePreviewRoutes>>>;
type Repositories = ReturnType<typeof hc<ReturnType<typeof repositoryRoutes>>>;
type Scans = ReturnType<typeof hc<ReturnType<typeof scanRoutes>>>;
type Deliveries = ReturnType<typeof hc<ReturnType<typeof triggerDeliveryRoutes>>>;
type Instances = ReturnType<typeof hc<ReturnType<typeof instanceRoutes>>>;
type Sessions = ReturnType<typeof hc<ReturnType<typeof sessionRoutes>>>;

type Accounts = ReturnType<typeof hc<ReturnType<typeof sourceAccountRoutes>>>;
type Authorizations = ReturnType<typeof hc<ReturnType<typeof sourceAuthorizationRoutes>>>;
type Bindings = ReturnType<typeof hc<ReturnType<typeof sourceRoutes>>>['repositories'][':id']['source-binding'];
type Browsing = ReturnType<typeof hc<ReturnType<typeof sourceBrowseRoutes>>>['repositories'][':id']['source-binding'];
type Events = ReturnType<typeof hc<ReturnType<typeof sourceEventRoutes>>>;

type ApiRun = InferResponseType<Records['runs'][':id']['$get'], 200>;
type ApiRuns = InferResponseType<Records['runs']['$get'], 200>;
type ApiEvents = InferResponseType<Records['runs'][':id']['events']['$get'], 200>;

test('a Record has the members the console reads', () => {
  expectTypeOf<Omit<ApiRun, 'steps'>>().toExtend<Omit<RunRecord, 'steps'>>();
  expectTypeOf<Omit<ApiRuns['items'][number], 'steps'>>().toExtend<Omit<Run, 'steps'>>();
  expectTypeOf<ApiRun['steps'][number]['name']>().toEqualTypeOf<Step['name']>();
  expectTypeOf<Omit<ApiRun['steps'][number], 'name' | 'result' | 'children'>>().toExtend<
    Omit<Step, 'name' | 'result' | 'children'>
  >();
  expectTypeOf<Pick<ApiEvents['items'][number], 'id' | 'type' | 'at'>>().toExtend<Omit<RunEvent, 'data'>>();
});

test('a log, findings, a delivery, an instance and a session have the members the console reads', () => {
  expectTypeOf<InferResponseType<Logs['builds'][':id']['log']['$get'], 200>>().toExtend<LogPage>();
  expectTypeOf<InferResponseType<Logs['builds'][':id']['log']['search']['$get'], 200>>().toExtend<LogMatches>();
  expectTypeOf<InferResponseType<Logs['builds'][':id']['log']['steps']['$get'], 200>>().toExtend<LogSteps>();
  expectTypeOf<InferResponseType<Logs['builds'][':id']['log']['ranges']['$get'], 200>>().toExtend<LogRanges>();
  expectTypeOf<InferResponseType<Scans['scans'][':id']['findings']['$get'], 200>>().toExtend<Page<ScanFinding>>();
  expectTypeOf<InferResponseType<Deliveries['deliveries'][':id']['$get'], 200>>().toExtend<Delivery>();
  expectTypeOf<InferResponseType<Instances['instances'][':instance']['$get'], 200>>().toExtend<Instance>();
  expectTypeOf<InferResponseType<Sessions['sessions']['current']['$get'], 200>>().toExtend<Session>();
});

test('source accounts, bindings, events and what is picked from have the members the console reads', () => {
  type ByInstance = Accounts['instances'][':instance']['source-accounts'];
  expectTypeOf<InferResponseType<ByInstance['$get'], 200>>().toExtend<Page<SourceAccount>>();
  expectTypeOf<
    InferResponseType<Accounts['source-accounts'][':id']['check']['$post'], 200>
  >().toExtend<SourceAccountCheck>();
  type InBrowser = Authorizations['instances'][':instance']['source-accounts']['authorizations'];
  expectTypeOf<InferResponseType<InBrowser['$get'], 200>>().toExtend<Page<SourceAuthorization>>();
  expectTypeOf<InferResponseType<InBrowser['$post'], 201>>().toExtend<{ readonly url: string }>();
  expectTypeOf<InferResponseType<Bindings['$get'], 200>>().toExtend<SourceBinding>();
  expectTypeOf<InferResponseType<Bindings['rotate-secret']['$post'], 200>>().toExtend<Hook>();
  expectTypeOf<InferResponseType<Browsing['refs']['$get'], 200>['items'][number]>().toExtend<SourceRef>();
  expectTypeOf<InferResponseType<Browsing['tree']['$get'], 200>['items'][number]>().toExtend<SourceEntry>();
  expectTypeOf<InferResponseType<Events['repositories'][':id']['source-events']['$get'], 200>>().toExtend<
    Page<SourceEvent>
  >();
});

test('a build cache has the members the console reads', () => {
  type ApiCaches = InferResponseType<Caches['repositories'][':id']['build-cache']['$get'], 200>;
  expectTypeOf<ApiCaches>().toExtend<Page<BuildCache>>();
});

test('a repository, its rules, their preview and its builds have the members the console reads', () => {
  expectTypeOf<InferResponseType<Repositories['repositories'][':id']['$get'], 200>>().toExtend<Repository>();
  expectTypeOf<InferResponseType<Rules['repositories'][':id']['build-rules']['$get'], 200>>().toExtend<
    Page<BuildRule>
  >();
  expectTypeOf<InferResponseType<Previews['build-rules']['preview']['$post'], 200>>().toExtend<RulePreview>();
  expectTypeOf<InferResponseType<Builds['repositories'][':id']['builds']['$get'], 200>>().toExtend<Page<Build>>();
});
