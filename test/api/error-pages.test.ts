import { globSync, readFileSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { docsRoutes } from '../../api/routes/docs.ts';
import { stepNames } from '../../domain/record.ts';
import { registryIssues } from '../../domain/registry-error.ts';

const root = new URL('../../', import.meta.url);
const pages = new URL('docs/errors/', root);

/** First words of error codes; what else has the form `word.word` (file names, events, columns) is something else. */
const things =
  'access|build|build_rule|chain|cursor|delivery|idempotency|instance|namespace|push|quota|regexp|registry|replication|replication_rule|replication_task|repository|request|run|scan|secret|session|source|source_account|tag|temporal|token|trigger|url';

/** Reasons that are no error: what there is to say of a run that went well. */
const goodEnds = ['run.success', 'run.success_not_scanned'];

/** Codes put together from a step, or from what a registry refused. */
const madeCodes = [
  ...stepNames.flatMap((step) => [`${step}.failed`, `${step}.timeout`]),
  ...registryIssues.map((issue) => `replication.${issue}`),
];

/** Every code that stands in the source, written out or made by a factory. */
function codesInSource(): Set<string> {
  const files = globSync('{api,domain,activities,workflows}/**/*.ts', { cwd: root });
  const repositories = globSync('db/repositories/*.ts', { cwd: root });
  const codes = new Set(['internal', 'superseded', ...madeCodes]);
  for (const file of [...files, ...repositories]) {
    const text = readFileSync(new URL(file, root), 'utf8');
    const literals = file.startsWith('db/')
      ? text.matchAll(new RegExp(`(?:(?:conflict|AppError)\\([^']*|code: )'((?:${things})\\.[a-z_]+)'`, 'g'))
      : text.matchAll(new RegExp(`'((?:${things})\\.[a-z_]+)'`, 'g'));
    for (const [, code] of literals) if (code !== undefined) codes.add(code);
    for (const [, thing] of text.matchAll(/\bnotFound\(\s*'([a-z_]+)'/g)) codes.add(`${thing}.not_found`);
    for (const [, thing] of text.matchAll(/\balreadyExists\(\s*'([a-z_]+)'/g)) codes.add(`${thing}.exists`);
  }
  return new Set([...codes].filter((code) => !goodEnds.includes(code)));
}

describe('docs/errors', () => {
  it('has a page for every code Slipway can answer, and none for a code that is gone', async () => {
    const written = (await readdir(pages)).map((file) => file.replace(/\.md$/, '')).toSorted();
    expect(written).toEqual([...codesInSource()].toSorted());
  });

  it('says on every page what happened, why, and what to do', async () => {
    for (const file of await readdir(pages)) {
      const page = await readFile(new URL(file, pages), 'utf8');
      expect([file, page.split('\n')[0]]).toEqual([file, `# ${file.replace(/\.md$/, '')}`]);
      for (const part of ['**What happened.**', '**Why.**', '**What to do.**'])
        expect([file, page]).toEqual([file, expect.stringContaining(part)]);
    }
  });

  it('is served as safe HTML at the address problems name', async () => {
    const answer = await docsRoutes().request('/errors/build_rule.unknown_group');
    const html = await answer.text();
    expect(answer.status).toBe(200);
    expect(html).toContain('<h1>build_rule.unknown_group</h1>');
    expect(html).toContain('<pre><code>ref: release-(?&lt;version&gt;\\w*)');
    for (const odd of ['/errors/none.such', '/errors/..%2f..%2fproduct'])
      expect([odd, (await docsRoutes().request(odd)).ok]).toEqual([odd, false]);
  });
});
