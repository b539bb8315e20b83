import { z } from 'zod';
import { limits } from './limits.ts';
import { credentialSchema } from './source-credential.ts';

/** The kinds of source host; `gitea` is Forgejo's too, `git` a plain git server that calls with a generic signed delivery. */
export const sourceHostNames = [
  'github',
  'gitlab',
  'gitee',
  'bitbucket',
  'bitbucket_data_center',
  'gitea',
  'git',
] as const;
export type SourceHost = (typeof sourceHostNames)[number];

/** The public address of the hosts that have one; the others are always named (docs/product.md, section 5). */
const defaultBaseUrls: Readonly<Partial<Record<SourceHost, string>>> = {
  github: 'https://github.com',
  gitlab: 'https://gitlab.com',
  gitee: 'https://gitee.com',
  bitbucket: 'https://bitbucket.org',
};

const baseUrl = z
  .url({ protocol: /^https?$/ })
  .max(2_048)
  .refine((url) => !/^https?:\/\/[^/]*@/.test(url), {
    message: 'The address must not hold a user name or password. Give them as the credential.',
  });

/** Certificates (PEM) of the authority a host on a private network has its own certificate from. */
const caCertificate = z
  .string()
  .max(limits.caCertificateBytes)
  .regex(/-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----/, {
    message: 'It must be one or more certificates in PEM form.',
  });

/** Where a source host is; hosts with a public address need none. */
const hostPlace = {
  host: z.enum(sourceHostNames),
  baseUrl: baseUrl.optional(),
  caCertificate: caCertificate.nullable().default(null),
};

/** A source account: an instance's address of and credential for a source host (docs/product.md, section 5). */
export const sourceAccountSchema = z
  .strictObject({
    /** What people call it: one instance may have several of one host. Left out: it stays as it is; null takes it away. */
    name: z.string().trim().min(1).max(limits.sourceAccountNameLength).nullable().optional(),
    ...hostPlace,
    /** Left out: it stays as it is; null takes it away. */
    credential: credentialSchema.nullable().optional(),
  })
  .superRefine(needsBaseUrl);
export type SourceAccountDefinition = z.infer<typeof sourceAccountSchema>;

/**
 * A person connecting a source host in the browser: by OAuth, or by installing a GitHub App. With `sourceAccount` the grant
 * replaces that account's credential (docs/product.md, section 5).
 */
export const sourceAuthorizationSchema = z
  .strictObject({
    ...hostPlace,
    flow: z.enum(['oauth', 'app']).optional(),
    sourceAccount: z.string().min(1).max(64).optional(),
  })
  .superRefine(needsBaseUrl);
export type SourceAuthorizationDefinition = z.infer<typeof sourceAuthorizationSchema>;

/** What a source host says to the credential of an account; `untested`: it cannot be asked, or there is none. */
export const credentialStates = ['accepted', 'refused', 'unreachable', 'untested'] as const;
export type CredentialState = (typeof credentialStates)[number];

/** Why connecting a source host in the browser came to nothing, as the address of the console says it. */
export const authorizationRefusals = [
  'not_begun',
  'denied',
  'not_installed',
  'not_permitted',
  'not_reachable',
  'unavailable',
  'signed_out',
  'failed',
] as const;
export type AuthorizationRefusal = (typeof authorizationRefusals)[number];

function needsBaseUrl(
  { host, baseUrl: url }: { host: SourceHost; baseUrl?: string | undefined },
  context: z.RefinementCtx,
): void {
  if (url !== undefined || defaultBaseUrls[host] !== undefined) return;
  context.addIssue({
    code: 'custom',
    path: ['baseUrl'],
    message: 'This kind of host has no public address: name yours.',
  });
}

/** The host's address without a trailing slash; its public one where none is named. */
export function baseUrlOf({ host, baseUrl: url }: { host: SourceHost; baseUrl?: string | undefined }): string {
  return (url ?? defaultBaseUrls[host] ?? '').replace(/\/+$/, '');
}

const codePath = z
  .string()
  .min(1)
  .max(255)
  .regex(/^~?[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/)
  .refine((path) => !path.split('/').some((part) => part === '.' || part === '..' || part.startsWith('-')), {
    message: 'The path must not hold ".", ".." or a part that starts with "-".',
  });

/** What ties a repository to its code: `<baseUrl>/<codeNamespace>/<codeRepository>` is cloned (docs/product.md, section 5). */
export const sourceBindingSchema = z.strictObject({
  sourceAccount: z.string().min(1),
  codeNamespace: codePath,
  codeRepository: codePath,
});
export type SourceBindingDefinition = z.infer<typeof sourceBindingSchema>;

/** The address git clones from; Bitbucket Data Center keeps its repositories below `/scm`. */
export function cloneUrl(
  { host, baseUrl: url }: { readonly host: SourceHost; readonly baseUrl: string },
  { codeNamespace, codeRepository }: Pick<SourceBindingDefinition, 'codeNamespace' | 'codeRepository'>,
): string {
  const root = `${url.replace(/\/+$/, '')}${host === 'bitbucket_data_center' ? '/scm' : ''}`;
  return `${root}/${codeNamespace}/${codeRepository.replace(/\.git$/, '')}.git`;
}

/** A change of one ref as a source host reports it (docs/product.md, section 5). Claims of the host, not facts. */
export interface SourceChange {
  /** Without `refs/heads/` or `refs/tags/`. */
  readonly ref: string;
  readonly refType: 'branch' | 'tag';
  /** The newest commit, 40 or 64 hex characters; null when the ref was deleted. */
  readonly commit: string | null;
  readonly before: string | null;
  readonly message: string | null;
  readonly author: string | null;
  /** Who pushed, by the host's own account name; unverified. */
  readonly actor: string | null;
  /** The host's own time of the push where the signed payload carries it, RFC 3339, else null. */
  readonly pushedAt: string | null;
  readonly isDeleted: boolean;
  readonly isFork: boolean;
  /** The host says that the ref was moved to a commit that does not follow from the one before. */
  readonly isForced: boolean;
  /** Files the push touched, from the root of the code; null where the payload does not list them, or not all of them. */
  readonly paths: readonly string[] | null;
}

/** Why an accepted delivery started nothing (docs/reliability: inbox). */
export const ignoredReasons = [
  'ref_deleted',
  'fork',
  'pull_request',
  'ping',
  'auto_build_off',
  'no_rule',
  'rule_disabled',
  'no_change',
  'paths',
  'unbound',
  'other_event',
] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** What became of one delivery of the inbox, or of one change in it. */
export type InboxOutcome =
  | { readonly kind: 'runs'; readonly runs: readonly string[] }
  | { readonly kind: 'ignored'; readonly reason: IgnoredReason }
  | { readonly kind: 'duplicate'; readonly of: string }
  /** The push came late: `by` is the commit the ref already stood at when it was looked up. */
  | { readonly kind: 'superseded'; readonly by: string }
  | { readonly kind: 'invalid'; readonly reason: string };

/** What a list of deliveries can be narrowed to; `pending` ones were not looked at yet. */
export const inboxFilters = ['pending', 'runs', 'ignored', 'duplicate', 'superseded', 'invalid'] as const;
export type InboxFilter = (typeof inboxFilters)[number];

/** One change of a delivery with what became of it; a host may tell several in one delivery. */
export type SourceChangeOutcome = Pick<SourceChange, 'ref' | 'refType' | 'commit'> &
  Exclude<InboxOutcome, { kind: 'invalid' }>;

/** The commit a run builds. `pushedAt` is the time every build-time tag of the run shows, RFC 3339. */
export interface RunSource {
  readonly ref: string;
  readonly refType: 'branch' | 'tag';
  readonly commit: string;
  readonly message: string | null;
  readonly author: string | null;
  readonly pushedAt: string;
}
