import { createHmac } from 'node:crypto';
import examples from '@octokit/webhooks-examples';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';
import { bitbucket, bitbucketDataCenter } from './bitbucket-senders.ts';
import { fixture, hex, jsonObject, zero } from './source-sender.ts';
import type { SenderCall, SourceSender } from './source-sender.ts';

/** The first example of GitHub's own for which `isMeant` holds. */
function githubExample(isMeant: (push: Record<string, unknown>) => boolean): Record<string, unknown> {
  const pushes = z
    .array(z.object({ name: z.string(), examples: z.array(jsonObject) }))
    .parse(examples)
    .find(({ name }) => name === 'push')?.examples;
  const found = pushes?.find(isMeant);
  if (found === undefined) throw new Error('@octokit/webhooks-examples has no such push.');
  return found;
}

function standardHeaders({ secret, deliveryId, at, body }: SenderCall): Record<string, string> {
  return {
    'webhook-id': deliveryId,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1_000)),
    'webhook-signature': new Webhook(secret).sign(deliveryId, at, body),
  };
}

const githubPush = fixture('github/push');
const github: SourceSender = {
  host: 'github',
  proof: 'x-hub-signature-256',
  idHeader: 'x-github-delivery',
  maxAgeSeconds: null,
  headers: ({ secret, event, body, deliveryId }) => ({
    'x-github-event': event,
    'x-github-delivery': deliveryId,
    'x-hub-signature-256': `sha256=${hex(secret, body)}`,
  }),
  pushes: {
    branch: {
      event: 'push',
      body: githubPush,
      means: [{ ref: 'master', refType: 'branch', commit: '199eddf46df50de8d02e99bf1c5fdb4101338224' }],
    },
    tag: {
      event: 'push',
      body: githubExample(({ ref, created }) => ref === 'refs/tags/simple-tag' && created === true),
      means: [{ ref: 'simple-tag', refType: 'tag', commit: '6113728f27ae82c7b1a177c8d03f9e96e0adf246' }],
    },
    remove: {
      event: 'push',
      body: githubExample(({ deleted }) => deleted === true),
      means: [{ ref: 'simple-tag', refType: 'tag', commit: null }],
    },
    force: {
      event: 'push',
      body: { ...githubPush, before: 'b'.repeat(40), forced: true },
      means: [{ ref: 'master', refType: 'branch', commit: '199eddf46df50de8d02e99bf1c5fdb4101338224' }],
    },
    several: null,
  },
};

const gitlabPush = fixture('gitlab/push');
const gitlab: SourceSender = {
  host: 'gitlab',
  proof: 'webhook-signature',
  idHeader: 'webhook-id',
  maxAgeSeconds: 300,
  headers: (call) => ({ ...standardHeaders(call), 'x-gitlab-event': call.event, 'idempotency-key': call.deliveryId }),
  pushes: {
    branch: {
      event: 'Push Hook',
      body: gitlabPush,
      means: [{ ref: 'master', refType: 'branch', commit: '2adc9465c4edfc33834e173fe89436a7cb899a1d' }],
    },
    tag: {
      event: 'Tag Push Hook',
      // An annotated tag: `after` is the tag's own object.
      body: { ...fixture('gitlab/tag_create'), after: 'f'.repeat(40) },
      means: [{ ref: 'v1.0.0', refType: 'tag', commit: '2adc9465c4edfc33834e173fe89436a7cb899a1d' }],
    },
    remove: {
      event: 'Push Hook',
      body: fixture('gitlab/branch_delete'),
      means: [{ ref: 'feature', refType: 'branch', commit: null }],
    },
    force: {
      event: 'Push Hook',
      body: { ...gitlabPush, before: 'b'.repeat(40) },
      means: [{ ref: 'master', refType: 'branch', commit: '2adc9465c4edfc33834e173fe89436a7cb899a1d' }],
    },
    several: null,
  },
};
const gitlabToken: SourceSender = {
  ...gitlab,
  proof: 'x-gitlab-token',
  idHeader: 'x-gitlab-event-uuid',
  maxAgeSeconds: null,
  headers: ({ secret, event, deliveryId }) => ({
    'x-gitlab-event': event,
    'x-gitlab-event-uuid': deliveryId,
    'x-gitlab-token': secret,
  }),
};

const giteePush = fixture('gitee/push');
const gitee: SourceSender = {
  host: 'gitee',
  proof: 'x-gitee-token',
  idHeader: null,
  maxAgeSeconds: 3_600,
  headers: ({ secret, event, at }) => {
    const timestamp = String(at.getTime());
    const signature = createHmac('sha256', secret).update(`${timestamp}\n${secret}`).digest('base64');
    return { 'x-gitee-event': event, 'x-gitee-timestamp': timestamp, 'x-gitee-token': encodeURIComponent(signature) };
  },
  pushes: {
    branch: {
      event: 'Push Hook',
      body: giteePush,
      means: [{ ref: 'feat-2-1', refType: 'branch', commit: '9921e45e570db8e57e544650baf837932fb2100f' }],
    },
    tag: {
      event: 'Tag Push Hook',
      body: fixture('gitee/tag_create'),
      means: [{ ref: '1.3', refType: 'tag', commit: 'aa9d11518a64dcd0d591a2a4eb35dfb4d91d49d5' }],
    },
    remove: {
      event: 'Push Hook',
      body: fixture('gitee/push_branch_delete'),
      means: [{ ref: 'feat-3', refType: 'branch', commit: null }],
    },
    force: {
      event: 'Push Hook',
      body: { ...giteePush, before: 'b'.repeat(40) },
      means: [{ ref: 'feat-2-1', refType: 'branch', commit: '9921e45e570db8e57e544650baf837932fb2100f' }],
    },
    several: null,
  },
};
const giteePassword: SourceSender = {
  ...gitee,
  headers: ({ secret, event, at }) => ({
    'x-gitee-event': event,
    'x-gitee-timestamp': String(at.getTime()),
    'x-gitee-token': secret,
  }),
};

const giteaPush = fixture('gitea/push');
const gitea: SourceSender = {
  host: 'gitea',
  proof: 'x-gitea-signature',
  idHeader: 'x-gitea-delivery',
  maxAgeSeconds: null,
  headers: ({ secret, event, body, deliveryId }) => ({
    'x-gitea-event': event,
    'x-github-event': event,
    'x-gitea-delivery': deliveryId,
    'x-gitea-signature': hex(secret, body),
  }),
  pushes: {
    branch: {
      event: 'push',
      body: giteaPush,
      means: [{ ref: 'master', refType: 'branch', commit: '4522cbcefc20728a5b72b3a86af35e608622c514' }],
    },
    tag: {
      event: 'push',
      body: { ...giteaPush, ref: 'refs/tags/v1.0.0', before: zero, commits: [] },
      means: [{ ref: 'v1.0.0', refType: 'tag', commit: '4522cbcefc20728a5b72b3a86af35e608622c514' }],
    },
    remove: {
      event: 'delete',
      body: fixture('gitea/branch_delete'),
      means: [{ ref: 'feature', refType: 'branch', commit: null }],
    },
    force: {
      event: 'push',
      body: { ...giteaPush, before: 'b'.repeat(40) },
      means: [{ ref: 'master', refType: 'branch', commit: '4522cbcefc20728a5b72b3a86af35e608622c514' }],
    },
    several: null,
  },
};
const forgejo: SourceSender = {
  ...gitea,
  proof: 'x-forgejo-signature',
  headers: (call) => ({
    ...gitea.headers(call),
    'x-forgejo-event': call.event,
    'x-forgejo-delivery': call.deliveryId,
    'x-forgejo-signature': hex(call.secret, call.body),
  }),
};

const git: SourceSender = {
  host: 'git',
  proof: 'webhook-signature',
  idHeader: 'webhook-id',
  maxAgeSeconds: 300,
  headers: standardHeaders,
  pushes: {
    branch: {
      event: 'push',
      body: { ref: 'refs/heads/main', before: 'b'.repeat(40), after: 'a'.repeat(40) },
      means: [{ ref: 'main', refType: 'branch', commit: 'a'.repeat(40) }],
    },
    tag: {
      event: 'push',
      body: { ref: 'refs/tags/v1', after: 'a'.repeat(64) },
      means: [{ ref: 'v1', refType: 'tag', commit: 'a'.repeat(64) }],
    },
    remove: {
      event: 'push',
      body: { ref: 'refs/heads/main', after: zero },
      means: [{ ref: 'main', refType: 'branch', commit: null }],
    },
    force: {
      event: 'push',
      body: { ref: 'refs/heads/main', before: 'c'.repeat(40), after: 'a'.repeat(40), forced: true },
      means: [{ ref: 'main', refType: 'branch', commit: 'a'.repeat(40) }],
    },
    several: null,
  },
};

/** Every way of calling a hook, by a name for test titles. */
export const sourceSenders: readonly (readonly [string, SourceSender])[] = [
  ['GitHub', github],
  ['GitLab with a signing token', gitlab],
  ['GitLab with a secret token', gitlabToken],
  ['Gitee with a signature', gitee],
  ['Gitee with a password', giteePassword],
  ['Bitbucket Cloud', bitbucket],
  ['Bitbucket Data Center', bitbucketDataCenter],
  ['Gitea', gitea],
  ['Forgejo', forgejo],
  ['a plain git server', git],
];
