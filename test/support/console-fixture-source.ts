import type { ServerResponse } from 'node:http';
import type {
  CodePlace,
  NamedRun,
  SourceAccount,
  SourceAuthorization,
  SourceBinding,
  SourceEntry,
  SourceEvent,
  SourceRef,
} from '../../console/src/api-source.ts';
import { sourceAccountSchema, sourceBindingSchema } from '../../domain/source.ts';
import { sendJson, sendProblem } from './console-fixture-http.ts';
import { at } from './console-fixture-steps.ts';

/** Source accounts, bindings and events of the stand-in. */
export interface Sources {
  readonly accounts: Map<string, SourceAccount>;
  readonly authorizations: SourceAuthorization[];
  /** By repository. */
  readonly bindings: Map<string, SourceBinding>;
  readonly events: SourceEvent[];
  readonly refs: SourceRef[];
  /** By directory. */
  readonly tree: Map<string, SourceEntry[]>;
  /** The source host does not answer. */
  isHostAway: boolean;
}

const base = { instance: 'hangzhou', name: null, caCertificate: null, hasCredential: true, createdAt: at(90_000) };

export function createSources(): Sources {
  const accounts: readonly SourceAccount[] = [
    {
      ...base,
      id: 'src-acme',
      name: 'GitHub of acme <b>bold</b>',
      host: 'github',
      baseUrl: 'https://github.com',
      credentialKind: 'installation',
      repositories: 0,
    },
    {
      ...base,
      id: 'src-code',
      host: 'gitea',
      baseUrl: 'https://code.example.test',
      credentialKind: 'token',
      repositories: 1,
    },
  ];
  const place = { sourceAccount: 'src-code', codeNamespace: 'acme', codeRepository: 'shop' };
  return {
    accounts: new Map(accounts.map((account) => [account.id, account])),
    authorizations: [{ host: 'github', baseUrl: 'https://github.com', flow: 'app' }],
    bindings: new Map([['crr-web', bindingOf(place, { installed: true, secret: null })]]),
    events: fixtureSourceEvents(),
    refs: ['main', 'develop', 'release-v1', 'release-v2.1'].map((name) => ({ type: 'branch', name })),
    tree: new Map([
      ['', [directory('services'), file('Dockerfile'), file('README.md')]],
      ['services', [directory('services/web')]],
      ['services/web', [file('services/web/Dockerfile.edge'), file('services/web/index.ts')]],
    ]),
    isHostAway: false,
  };
}

function directory(path: string): SourceEntry {
  return { path, type: 'directory' };
}

function file(path: string): SourceEntry {
  return { path, type: 'file' };
}

function bindingOf(
  place: CodePlace,
  { installed, secret }: { installed: boolean; secret: string | null },
): SourceBinding {
  const url = 'https://slipway.example.test/hooks/4f0bq9';
  const notInstalled = 'The webhook was not installed, so pushes are only found every ten minutes: no right to do so.';
  return {
    ...place,
    cloneUrl: `https://code.example.test/${place.codeNamespace}/${place.codeRepository}.git`,
    hook: {
      url,
      secret,
      installed,
      issue: installed ? null : { code: 'source.hook_not_installed', params: {}, text: notInstalled },
      instructions: `In the repository's settings under Webhooks add ${url} with the secret shown once, and push events.`,
    },
    commitStatus: { enabled: true, issue: null },
    issue: null,
    reconciledAt: at(300),
    lastEvent: installed ? { event: 'push', receivedAt: at(120) } : null,
  };
}

/** One delivery of each outcome; the newest tells of two refs. */
function fixtureSourceEvents(): SourceEvent[] {
  const commit = 'd4ef3dc3b77a011a5779eec7efdd45a8c0b2f6e1';
  const of = { refType: 'branch', commit } as const;
  const record: NamedRun = {
    id: 'run-success',
    chain: 'web',
    number: 41,
    build: 'build-run-success',
    status: 'complete',
    result: 'success',
  };
  const outside: NamedRun = { ...record, id: 'run-outside', chain: null, number: 0, build: 'build-run-partial' };
  const started = { kind: 'runs', runs: [record.id, outside.id] } as const;
  const told = [
    { outcome: null },
    {
      outcome: started,
      runs: [record, outside],
      changes: [
        { ...of, ref: 'main', ...started },
        { ...of, ref: 'old', commit: null, kind: 'ignored', reason: 'ref_deleted' },
      ],
    },
    { outcome: { kind: 'ignored', reason: 'ping' }, event: 'ping' },
    {
      outcome: { kind: 'duplicate', of: record.id },
      runs: [record],
      changes: [{ ...of, ref: 'main', kind: 'duplicate', of: record.id }],
    },
    {
      outcome: { kind: 'superseded', by: commit },
      changes: [{ ...of, ref: 'develop', kind: 'superseded', by: commit }],
    },
    { outcome: { kind: 'invalid', reason: 'The body is no JSON <b>bold</b>.' } },
    {
      outcome: { kind: 'runs', runs: ['run-gone'] },
      event: 'catch_up',
      changes: [{ ...of, ref: 'v1.0', refType: 'tag', kind: 'runs', runs: ['run-gone'] }],
    },
  ] as const;
  return told.map((part, index) => ({
    id: String(900 - index),
    deliveryId: '72d3162e-cc78-11e3-81ab-4c9367dc0958',
    event: 'push',
    state: part.outcome === null ? 'pending' : 'handled',
    changes: [],
    runs: [],
    receivedAt: at(60 * (index + 1)),
    ...part,
  }));
}

export interface SourceCall {
  readonly method: string;
  readonly id: string;
  readonly act: string;
  readonly query: URLSearchParams;
  readonly body: unknown;
}

/** `/v1/instances/<id>/source-accounts…` */
export function answerAccounts(
  { accounts, authorizations }: Sources,
  response: ServerResponse,
  { method, id, act, body }: SourceCall,
): void {
  if (act.endsWith('/authorizations')) {
    if (method === 'POST') return sendJson(response, 201, { url: '/consent', expiresAt: at(0) });
    return sendJson(response, 200, { items: authorizations, nextCursor: null });
  }
  if (method !== 'POST') return sendJson(response, 200, { items: [...accounts.values()], nextCursor: null });
  return saveAccount(accounts, response, { id: `src-${accounts.size + 1}`, instance: id, body });
}

/** `/v1/source-accounts/<id>…` */
export function answerAccount(
  { accounts }: Sources,
  response: ServerResponse,
  { method, id, act, body }: SourceCall,
): void {
  const account = accounts.get(id);
  if (account === undefined) return sendProblem(response, 404, 'source_account.not_found', `There is no "${id}".`);
  if (act === 'check')
    return sendJson(response, 200, {
      state: id === 'src-code' ? 'refused' : 'accepted',
      detail: id === 'src-code' ? 'The host does not take the credential.' : 'The host took the credential.',
      latencyMs: 12,
    });
  if (method === 'GET') return sendJson(response, 200, account);
  if (method === 'PUT') return saveAccount(accounts, response, { id, instance: account.instance, body });
  if (account.repositories > 0) {
    const detail = 'Repositories are bound through this source account: shop/web. Unbind them first.';
    return sendProblem(response, 409, 'source_account.in_use', detail);
  }
  accounts.delete(id);
  response.writeHead(204).end();
  return undefined;
}

function saveAccount(
  accounts: Map<string, SourceAccount>,
  response: ServerResponse,
  { id, instance, body }: { id: string; instance: string; body: unknown },
): void {
  const parsed = sourceAccountSchema.parse(body);
  const { credential } = parsed;
  if (credential !== undefined && credential !== null && 'token' in credential && credential.token === 'revoked') {
    const message = 'The host does not take this token.';
    const wrong = [{ pointer: '/credential', code: 'source.credential_refused', message }];
    return sendProblem(response, 422, 'request.invalid', message, wrong);
  }
  const before = accounts.get(id);
  const kind = credential === null || credential === undefined ? null : 'token' in credential ? 'token' : 'login';
  const kept = credential === undefined ? (before?.credentialKind ?? null) : kind;
  accounts.set(id, {
    ...base,
    id,
    instance,
    name: parsed.name ?? null,
    host: parsed.host,
    baseUrl: parsed.baseUrl ?? 'https://github.com',
    caCertificate: parsed.caCertificate,
    hasCredential: kept !== null,
    credentialKind: kept,
    repositories: before?.repositories ?? 0,
  });
  return sendJson(response, before === undefined ? 201 : 200, accounts.get(id));
}

/** `/v1/repositories/<id>/source-…` */
export function answerSource(
  sources: Sources,
  response: ServerResponse,
  { method, id, act, query, body }: SourceCall,
): void {
  const { bindings, events, refs, tree, isHostAway } = sources;
  if (act === 'source-events') return answerEvents(events, response, query);
  if (isHostAway && act !== 'source-binding') {
    return sendProblem(response, 503, 'source.not_reachable', 'The source host did not answer. Try again in a moment.');
  }
  if (act === 'source-binding/refs') {
    const items = refs.filter(({ name }) => name.includes(query.get('q') ?? ''));
    return sendJson(response, 200, { items, total: items.length });
  }
  if (act === 'source-binding/tree') {
    const items = tree.get(query.get('path') ?? '');
    if (items !== undefined) return sendJson(response, 200, { items, nextCursor: null });
    return sendProblem(response, 404, 'source.path_not_found', `There is no directory "${query.get('path') ?? ''}".`);
  }
  if (method === 'PUT') {
    const place = sourceBindingSchema.parse(body);
    if (place.codeRepository === 'missing') {
      const message = 'The source has no such repository, or the credential may not see it.';
      const wrong = [{ pointer: '/codeRepository', code: 'source.not_found', message }];
      return sendProblem(response, 422, 'request.invalid', message, wrong);
    }
    const bound = bindingOf(place, { installed: false, secret: 'whsec_shown-this-once' });
    bindings.set(id, { ...bound, hook: { ...bound.hook, secret: null } });
    return sendJson(response, 200, bound);
  }
  if (method === 'DELETE') {
    bindings.delete(id);
    response.writeHead(204).end();
    return undefined;
  }
  const binding = bindings.get(id);
  if (binding === undefined) return sendProblem(response, 404, 'source.not_found', 'The repository is local.');
  if (act.endsWith('/rotate-secret'))
    return sendJson(response, 200, { ...binding.hook, secret: 'whsec_shown-once-more' });
  return sendJson(response, 200, binding);
}

const eventsOnAPage = 6;

function answerEvents(events: readonly SourceEvent[], response: ServerResponse, query: URLSearchParams): void {
  const wanted = query.get('outcome');
  const found = events.filter(({ outcome }) => wanted === null || (outcome?.kind ?? 'pending') === wanted);
  const offset = Number(query.get('cursor') ?? 0);
  const next = offset + eventsOnAPage;
  const nextCursor = next < found.length ? String(next) : null;
  return sendJson(response, 200, { items: found.slice(offset, next), nextCursor });
}
