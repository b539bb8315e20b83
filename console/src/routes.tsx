import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import type { RunResult, RunStatus, StepName } from '../../domain/record.ts';
import { messages } from './messages/index.ts';
import { LoginPage } from './pages/login.tsx';
import { RecordListPage } from './pages/record-list.tsx';
import { CrashPage, HomePage, NotFoundPage, RootFrame, Shell } from './pages/shell.tsx';
import type { RecordFilters, SourceAccountSearch, SourceEventFilter } from './path-builder.ts';

const rootRoute = createRootRoute({
  component: RootFrame,
  notFoundComponent: NotFoundPage,
  errorComponent: CrashPage,
});

const loginRoute = createRoute({
  getParentRoute: () => rootRoute,
  path: '/login',
  validateSearch: (search: Search): { next?: string; code?: string } => texts(search, ['next', 'code']),
  component: LoginPage,
});

const shellRoute = createRoute({ getParentRoute: () => rootRoute, id: 'shell', component: Shell });

const homeRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/',
  component: HomePage,
});

const recordsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/records',
  validateSearch: (search: Search): RecordFilters => ({
    ...texts(search, ['repository', 'chain', 'ref', 'tag', 'commit', 'cursor']),
    ...member('result', search['result'], results),
    ...member('status', search['status'], statuses),
  }),
  component: RecordListPage,
});

/** What of a Record page stands in its address: the open step (`none` closes all) and the filter of the findings. */
export interface RecordSearch {
  readonly step?: StepName | 'none';
  readonly severity?: string;
  readonly q?: string;
  readonly fixable?: string;
  readonly sort?: string;
}

const recordRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/records/$runId',
  validateSearch: (search: Search): RecordSearch => ({
    ...texts(search, ['severity', 'q', 'fixable', 'sort']),
    ...member('step', search['step'], { ...messages.step, none: '' }),
  }),
  component: lazyRouteComponent(() => import('./pages/record.tsx'), 'RecordPage'),
});

const repositoriesRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/repositories',
  validateSearch: (search: Search): { cursor?: string } => texts(search, ['cursor']),
  component: lazyRouteComponent(() => import('./pages/repository-list.tsx'), 'RepositoryListPage'),
});

const repositoryRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/repositories/$repositoryId',
  component: lazyRouteComponent(() => import('./pages/repository.tsx'), 'RepositoryPage'),
});

const repositoryBuildRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/repositories/$repositoryId/build',
  validateSearch: (search: Search): { build?: string } => texts(search, ['build']),
  component: lazyRouteComponent(() => import('./pages/repository-build.tsx'), 'RepositoryBuildPage'),
});

const repositorySourceEventsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/repositories/$repositoryId/source-events',
  validateSearch: (search: Search): SourceEventFilter => ({
    ...texts(search, ['cursor']),
    ...member('outcome', search['outcome'], messages.source.outcome),
  }),
  component: lazyRouteComponent(() => import('./pages/source-event-list.tsx'), 'SourceEventListPage'),
});

const sourceAccountsRoute = createRoute({
  getParentRoute: () => shellRoute,
  path: '/source-accounts',
  validateSearch: (search: Search): SourceAccountSearch => ({
    ...texts(search, ['instance', 'cursor', 'sourceAccount']),
    ...member('refused', search['refused'], messages.source.refused),
  }),
  component: lazyRouteComponent(() => import('./pages/source-account-list.tsx'), 'SourceAccountListPage'),
});

const routeTree = rootRoute.addChildren([
  loginRoute,
  shellRoute.addChildren([
    homeRoute,
    recordsRoute,
    recordRoute,
    repositoriesRoute,
    repositoryRoute,
    repositoryBuildRoute,
    repositorySourceEventsRoute,
    sourceAccountsRoute,
  ]),
]);

/** The console's pages. */
export function createConsoleRouter() {
  return createRouter({
    routeTree,
    defaultPreload: 'intent',
    // What a page does not know, or not with this value, is dropped.
    search: { strict: true },
    // An address that names a line of a log says itself where to be.
    scrollRestoration: ({ location: { hash } }) => !/^#?L\d/.test(hash),
    // Values of the address are text: `?commit=123` is not a number.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const filled = Object.entries(search).filter(([, value]) => value !== undefined && value !== '');
      const written = new URLSearchParams(filled.map(([name, value]) => [name, String(value)])).toString();
      return written === '' ? '' : `?${written}`;
    },
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}

type Search = Record<string, unknown>;

const results: Record<RunResult, true> = { success: true, failed: true, denied: true, canceled: true };
const statuses: Record<RunStatus, true> = {
  queued: true,
  running: true,
  canceling: true,
  complete: true,
  canceled: true,
};

function texts<Name extends string>(search: Search, names: readonly Name[]): { [Key in Name]?: string } {
  const found: { [Key in Name]?: string } = {};
  for (const name of names) {
    const value = search[name];
    if (typeof value === 'string' && value !== '') found[name] = value;
  }
  return found;
}

/** The member when its value is one of the allowed words; anything else in an address is dropped. */
function member<Name extends string, Value extends string>(
  name: Name,
  value: unknown,
  allowed: Readonly<Record<Value, unknown>>,
): { [Key in Name]?: Value } {
  const isAllowed = (word: unknown): word is Value => typeof word === 'string' && Object.hasOwn(allowed, word);
  const found: { [Key in Name]?: Value } = {};
  if (isAllowed(value)) found[name] = value;
  return found;
}
