import { z } from 'zod';
import { fixture, hex, jsonObject } from './source-sender.ts';
import type { SourceSender } from './source-sender.ts';

const bitbucketPush = fixture('bitbucket/push');
const bitbucketChange = z
  .object({ push: z.object({ changes: z.tuple([jsonObject]) }) })
  .transform(({ push }) => push.changes[0]);
const bitbucketTag = fixture('bitbucket/push_tag_create');
/** Bitbucket Cloud. */
export const bitbucket: SourceSender = {
  host: 'bitbucket',
  proof: 'x-hub-signature',
  idHeader: 'x-request-uuid',
  maxAgeSeconds: null,
  headers: ({ secret, event, body, deliveryId }) => ({
    'x-event-key': event,
    'x-request-uuid': deliveryId,
    'x-hub-signature': `sha256=${hex(secret, body)}`,
  }),
  pushes: {
    branch: {
      event: 'repo:push',
      body: bitbucketPush,
      means: [{ ref: 'master', refType: 'branch', commit: '141977fedf5cf35aa290ac87d4b5177ac4cd9de1' }],
    },
    tag: {
      event: 'repo:push',
      body: bitbucketTag,
      means: [{ ref: 'feature/x', refType: 'tag', commit: '141977fedf5cf35aa290ac87d4b5177ac4cd9de1' }],
    },
    remove: {
      event: 'repo:push',
      body: fixture('bitbucket/push_branch_delete'),
      means: [{ ref: 'develop', refType: 'branch', commit: null }],
    },
    force: {
      event: 'repo:push',
      body: {
        ...bitbucketPush,
        push: { changes: [{ ...bitbucketChange.parse(bitbucketPush), forced: true }] },
      },
      means: [{ ref: 'master', refType: 'branch', commit: '141977fedf5cf35aa290ac87d4b5177ac4cd9de1' }],
    },
    several: {
      event: 'repo:push',
      body: {
        ...bitbucketPush,
        push: {
          changes: [bitbucketPush, bitbucketTag, fixture('bitbucket/push_branch_delete')].map((push) =>
            bitbucketChange.parse(push),
          ),
        },
      },
      means: [
        { ref: 'master', refType: 'branch', commit: '141977fedf5cf35aa290ac87d4b5177ac4cd9de1' },
        { ref: 'feature/x', refType: 'tag', commit: '141977fedf5cf35aa290ac87d4b5177ac4cd9de1' },
        { ref: 'develop', refType: 'branch', commit: null },
      ],
    },
  },
};

const dataCenterPush = fixture('bitbucket_data_center/push');
const dataCenterChange = z.object({ changes: z.tuple([jsonObject]) }).transform(({ changes }) => changes[0]);
const dataCenterTag = fixture('bitbucket_data_center/push_tag_create');
const dataCenterRemoval = fixture('bitbucket_data_center/push_branch_delete');
/** Bitbucket Data Center. */
export const bitbucketDataCenter: SourceSender = {
  ...bitbucket,
  host: 'bitbucket_data_center',
  idHeader: 'x-request-id',
  headers: ({ secret, event, body, deliveryId }) => ({
    'x-event-key': event,
    'x-request-id': deliveryId,
    'x-hub-signature': `sha256=${hex(secret, body)}`,
  }),
  pushes: {
    branch: {
      event: 'repo:refs_changed',
      body: dataCenterPush,
      means: [{ ref: 'master', refType: 'branch', commit: '823b2230a56056231c9425d63758fa87078a66b4' }],
    },
    tag: {
      event: 'repo:refs_changed',
      body: dataCenterTag,
      means: [{ ref: 'v1.1.0', refType: 'tag', commit: '823b2230a56056231c9425d63758fa87078a66b4' }],
    },
    remove: {
      event: 'repo:refs_changed',
      body: dataCenterRemoval,
      means: [{ ref: 'develop', refType: 'branch', commit: null }],
    },
    force: {
      event: 'repo:refs_changed',
      body: {
        ...dataCenterPush,
        changes: [{ ...dataCenterChange.parse(dataCenterPush), fromHash: 'b'.repeat(40) }],
      },
      means: [{ ref: 'master', refType: 'branch', commit: '823b2230a56056231c9425d63758fa87078a66b4' }],
    },
    several: {
      event: 'repo:refs_changed',
      body: {
        ...dataCenterPush,
        changes: [dataCenterPush, dataCenterTag, dataCenterRemoval].map((push) => dataCenterChange.parse(push)),
      },
      means: [
        { ref: 'master', refType: 'branch', commit: '823b2230a56056231c9425d63758fa87078a66b4' },
        { ref: 'v1.1.0', refType: 'tag', commit: '823b2230a56056231c9425d63758fa87078a66b4' },
        { ref: 'develop', refType: 'branch', commit: null },
      ],
    },
  },
};
