import { createHmac, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { tryCommand } from './command.ts';

/** Where pushes to a repository (`<namespace>/<name>`) are reported, with the secret that signs; written by the sample. */
const hooksSchema = z.record(z.string(), z.object({ url: z.string(), secret: z.string() }));

const NO_COMMIT = '0'.repeat(40);
const TIMEOUT_MS = 10_000;

/**
 * The post-receive hook of the sample's git host: `node stack/post-receive.ts <hooks file>`, run by git in the repository,
 * with a line `<old> <new> <ref>` per ref on its input. It reports each as GitHub would: a signed `push` delivery.
 */
async function main(hooksFile: string): Promise<void> {
  const repository = `${basename(dirname(process.cwd()))}/${basename(process.cwd(), '.git')}`;
  const hooks = hooksSchema.parse(JSON.parse(await readFile(hooksFile, 'utf8').catch(() => '{}')));
  const hook = hooks[repository];
  if (hook === undefined) return;
  for (const line of (await text(process.stdin)).split('\n').filter(Boolean)) {
    const [before = NO_COMMIT, after = NO_COMMIT, ref = ''] = line.split(' ');
    const payload = await pushPayload({ before, after, ref, repository });
    console.log(
      await deliver(hook, JSON.stringify(payload)).catch(
        () => 'Slipway could not be reached: it will not build this push.',
      ),
    );
  }
}

async function deliver(
  { url, secret }: { readonly url: string; readonly secret: string },
  body: string,
): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      'content-type': 'application/json',
      'user-agent': 'slipway-sample-git',
      'x-github-event': 'push',
      'x-github-delivery': randomUUID(),
      'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}`,
    },
    body,
  });
  await response.body?.cancel();
  return response.ok ? 'Slipway has taken this push.' : `Slipway refused this push: HTTP ${response.status}.`;
}

interface Push {
  readonly before: string;
  readonly after: string;
  readonly ref: string;
  readonly repository: string;
}

/** GitHub's `push` event, as far as a receiver may count on it. An annotated tag's `head_commit` is the commit it names. */
async function pushPayload({ before, after, ref, repository }: Push): Promise<object> {
  const actor = process.env['REMOTE_USER'] ?? 'unknown';
  const isDeleted = after === NO_COMMIT;
  return {
    ref,
    before,
    after,
    created: before === NO_COMMIT,
    deleted: isDeleted,
    forced: !isDeleted && before !== NO_COMMIT && !(await isAncestor(before, after)),
    head_commit: isDeleted ? null : await headCommit(after),
    repository: {
      full_name: repository,
      name: repository.split('/')[1],
      fork: false,
      pushed_at: Math.floor(Date.now() / 1000),
    },
    pusher: { name: actor },
    sender: { login: actor },
  };
}

async function headCommit(revision: string): Promise<object> {
  const format = '%H%x00%cI%x00%an%x00%ae%x00%B';
  const { stdout } = await tryCommand('git', ['log', '-1', `--format=${format}`, revision]);
  const [id, timestamp, name, email, message = ''] = stdout.split('\0');
  return { id, timestamp, message: message.trimEnd(), author: { name, email } };
}

async function isAncestor(before: string, after: string): Promise<boolean> {
  return (await tryCommand('git', ['merge-base', '--is-ancestor', before, after])).isOk;
}

await main(process.argv[2] ?? '');
