import type { CommitState } from '../../domain/commit-status.ts';
import type { SourceHost } from '../../domain/source.ts';
import type { HostSecret } from '../../domain/source-credential.ts';
import { createBitbucketDataCenter } from './source-host-bitbucket-data-center.ts';
import { createBitbucket } from './source-host-bitbucket.ts';
import { createGitea } from './source-host-gitea.ts';
import { createGitee } from './source-host-gitee.ts';
import { createGithub } from './source-host-github.ts';
import { createGitlab } from './source-host-gitlab.ts';
import { createHostRest } from './source-host-rest.ts';
import type { HostRestOptions } from './source-host-rest.ts';

/** A code repository of a host, by the parts of its address. */
export interface CodePlace {
  readonly codeNamespace: string;
  /** Without `.git`. */
  readonly codeRepository: string;
}

/** A webhook as Slipway wants it: push events of branches and tags, as JSON, signed with the secret. */
export interface HookRequest {
  readonly url: string;
  /** `whsec_<base64>` of 32 bytes. */
  readonly secret: string;
}

export interface CommitStatusRequest {
  /** The whole id. */
  readonly commit: string;
  /** Names the check; the same one is replaced. */
  readonly context: string;
  readonly state: CommitState;
  readonly description: string;
  /** Where it leads. */
  readonly url: string;
}

/** One delivery of a hook as the host remembers it. */
export interface HostDelivery {
  readonly id: string;
  /** What its request carried as its own id: the inbox's `delivery_id`. */
  readonly deliveryId: string;
  /** RFC 3339. */
  readonly deliveredAt: string;
  readonly event: string;
  /** Whether our answer was 2xx. */
  readonly isDelivered: boolean;
}

export interface HostCall {
  readonly signal: AbortSignal;
}

/** What a host keeps of a hook's deliveries; GitHub alone does so for others to ask. */
export interface HostDeliveries {
  /** The newest hundred, the newest first. @throws HostError */
  deliveriesList(code: CodePlace, hookRef: string, call: HostCall): Promise<readonly HostDelivery[]>;
  /** Asks for one to be sent once more, under the same id. @throws HostError */
  deliveryRedeliver(
    code: CodePlace,
    delivery: { readonly hookRef: string; readonly id: string },
    call: HostCall,
  ): Promise<void>;
}

/** One source host's HTTP API, logged in (docs/product.md, section 5). Everything may be called twice. */
export interface SourceHostClient {
  /** Whether the host takes the credential at all; what it may do shows when it is done. @throws HostError `refused` */
  credentialCheck(call: HostCall): Promise<void>;
  /** Installs the hook, or brings the one with this address up to date; answers the host's id of it. @throws HostError */
  hookInstall(code: CodePlace, hook: HookRequest, call: HostCall): Promise<string>;
  /** One that is gone already is in order. @throws HostError */
  hookRemove(code: CodePlace, hookRef: string, call: HostCall): Promise<void>;
  /** Says a commit's state; the same context is replaced. @throws HostError */
  statusSet(code: CodePlace, status: CommitStatusRequest, call: HostCall): Promise<void>;
  /** null: the host does not tell. */
  readonly deliveries: HostDeliveries | null;
}

export interface HostClientInput {
  readonly host: SourceHost;
  /** Without a trailing slash. */
  readonly baseUrl: string;
  readonly caCertificate: string | null;
  /** null: nobody is logged in. */
  readonly secret: HostSecret | null;
}

/** Opens clients of source hosts. */
export interface SourceHosts {
  /** null: a plain git server has no API. */
  client(input: HostClientInput): SourceHostClient | null;
}

/** Clients whose every request leaves through the guard. */
export function createSourceHosts(options: HostRestOptions): SourceHosts {
  return {
    client(input) {
      const make = makers[input.host];
      return make === null ? null : make(createHostRest(options, input));
    },
  };
}

const makers = {
  github: createGithub,
  gitlab: createGitlab,
  gitee: createGitee,
  bitbucket: createBitbucket,
  bitbucket_data_center: createBitbucketDataCenter,
  gitea: createGitea,
  git: null,
} as const;
