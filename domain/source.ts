import { z } from 'zod';

/** Login of a source host; write-only, sealed at rest. */
const credentialSchema = z.strictObject({
  username: z.string().min(1).max(255),
  password: z.string().min(1).max(4_096),
});

/** A source account: an instance's address of and credential for a source host (docs/product.md, section 5). */
export const sourceAccountSchema = z.strictObject({
  /** `github` speaks GitHub's webhooks; `git` is a plain git server that calls with a generic signed delivery. */
  host: z.enum(['github', 'git']),
  baseUrl: z
    .url({ protocol: /^https?$/ })
    .max(2_048)
    .refine((url) => !/^https?:\/\/[^/]*@/.test(url), {
      message: 'The address must not hold a user name or password. Give them as the credential.',
    }),
  credential: credentialSchema.nullable().optional(),
});
export type SourceAccountDefinition = z.infer<typeof sourceAccountSchema>;
export type SourceHost = SourceAccountDefinition['host'];

const codePath = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[A-Za-z0-9_.-]+(?:\/[A-Za-z0-9_.-]+)*$/)
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

/** The address git clones from. */
export function cloneUrl(
  baseUrl: string,
  { codeNamespace, codeRepository }: Pick<SourceBindingDefinition, 'codeNamespace' | 'codeRepository'>,
): string {
  return `${baseUrl.replace(/\/+$/, '')}/${codeNamespace}/${codeRepository.replace(/\.git$/, '')}.git`;
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
  'unbound',
  'other_event',
] as const;
export type IgnoredReason = (typeof ignoredReasons)[number];

/** What became of one delivery of the inbox. */
export type InboxOutcome =
  | { readonly kind: 'runs'; readonly runs: readonly string[] }
  | { readonly kind: 'ignored'; readonly reason: IgnoredReason }
  | { readonly kind: 'duplicate'; readonly of: string }
  | { readonly kind: 'invalid'; readonly reason: string };

/** The commit a run builds. `pushedAt` is the time every build-time tag of the run shows, RFC 3339. */
export interface RunSource {
  readonly ref: string;
  readonly refType: 'branch' | 'tag';
  readonly commit: string;
  readonly message: string | null;
  readonly author: string | null;
  readonly pushedAt: string;
}
