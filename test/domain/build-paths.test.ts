import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { globMatches, pathFilterSchema, pathsMatch } from '../../domain/build-paths.ts';
import { limits } from '../../domain/limits.ts';

describe('a path pattern', () => {
  // The examples of GitHub's documentation of path filters.
  it.each([
    ['*', ['README.md', 'server.rb'], ['docs/README.md']],
    ['**', ['all/the/files.md', 'README.md'], []],
    ['*.js', ['app.js', 'index.js'], ['src/app.js', 'app.ts']],
    ['**.js', ['index.js', 'js/index.js', 'src/js/app.js'], ['index.jsx']],
    ['docs/*', ['docs/README.md', 'docs/file.txt'], ['docs/mona/hello.md', 'README.md']],
    ['docs/**', ['docs/README.md', 'docs/mona/octocat.txt'], ['docs', 'site/docs/README.md']],
    ['docs/**/*.md', ['docs/README.md', 'docs/mona/hello-world.md', 'docs/a/markdown/file.md'], ['docs/a.txt']],
    ['**/docs/**', ['docs/hello.md', 'dir/docs/my-file.txt', 'space/docs/plan/space.doc'], ['mydocs/hello.md']],
    ['**/README.md', ['README.md', 'js/README.md'], ['js/MYREADME.md']],
    ['**/*src/**', ['a/src/app.js', 'my-src/code/js/app.js'], ['source/app.js']],
    ['**/*-post.md', ['my-post.md', 'path/their-post.md'], ['post.md']],
    ['**/migrate-*.sql', ['migrate-10909.sql', 'db/migrate-v1.0.sql', 'db/sept/migrate-v1.sql'], ['migrate/1.sql']],
  ])('%s takes %j and leaves %j', (pattern, taken, left) => {
    expect(taken.filter((path) => !globMatches(pattern, path))).toEqual([]);
    expect(left.filter((path) => globMatches(pattern, path))).toEqual([]);
  });

  it.each([
    ['docs/', 'docs/a/b.md', true],
    ['/docs/*.md', 'docs/a.md', true],
    ['/', 'any/file', true],
    ['file?.txt', 'file1.txt', true],
    ['file?.txt', 'file.txt', false],
    ['a?b', 'a/b', false],
    ['größe-?.md', 'größe-😀.md', true],
    ['a.c', 'abc', false],
  ])('%s against %s is %s', (pattern, path, expected) => {
    expect(globMatches(pattern, path)).toBe(expected);
  });

  it('agrees with a naive regular expression on any pattern and path', () => {
    const pattern = fc.array(fc.constantFrom('a', 'b', '/', '*', '**', '?', '**/'), { maxLength: 9 });
    const path = fc.array(fc.constantFrom('a', 'b', '/'), { maxLength: 10 });
    fc.assert(
      fc.property(pattern, path, (parts, letters) => {
        const [glob, text] = [parts.join(''), letters.join('').replace(/^\/+/, '')];
        expect([glob, text, globMatches(glob, text)]).toEqual([glob, text, naiveMatch(glob, text)]);
      }),
      { numRuns: 5_000 },
    );
  });

  it('of many stars takes no time on a long path', () => {
    const started = performance.now();
    expect(globMatches('*a'.repeat(127), `${'a'.repeat(limits.changedPathLength - 1)}b`)).toBe(false);
    expect(globMatches('**/a'.repeat(63), `${'a/'.repeat(500)}b`)).toBe(false);
    expect(performance.now() - started).toBeLessThan(500);
  });
});

describe('a path filter', () => {
  const filter = { include: ['services/web/**', 'shared/**'], exclude: ['**/*.md'] };

  it.each([
    ['a file it includes', ['services/web/main.ts'], true],
    ['only files elsewhere', ['docs/index.html', 'services/api/main.ts'], false],
    ['only files it excludes', ['services/web/README.md', 'shared/notes.md'], false],
    ['one file of many that counts', ['README.md', 'services/web/README.md', 'shared/log.ts'], true],
  ])('on %s decides %s', (_, changed, builds) => {
    expect(pathsMatch(filter, changed)).toBe(builds);
  });

  it('with exclusions alone starts on everything else', () => {
    const elsewhere = { include: [], exclude: ['docs/**'] };
    expect(pathsMatch(elsewhere, ['docs/guide.md'])).toBe(false);
    expect(pathsMatch(elsewhere, ['docs/guide.md', 'main.ts'])).toBe(true);
  });

  it('never loses a push whose files are not known, are too many, or are none', () => {
    expect(pathsMatch(filter, null)).toBe(true);
    expect(pathsMatch(filter, [])).toBe(true);
    expect(
      pathsMatch(
        filter,
        Array.from({ length: limits.changedPaths + 1 }, () => 'docs/a'),
      ),
    ).toBe(true);
    expect(pathsMatch(filter, ['x'.repeat(limits.changedPathLength + 1)])).toBe(true);
    expect(pathsMatch(null, ['docs/a'])).toBe(true);
  });

  it.each([['../up'], ['a/../b'], ['a\\b'], [''], ['x'.repeat(256)]])('refuses the pattern %j', (pattern) => {
    expect(pathFilterSchema.safeParse({ include: [pattern] }).success).toBe(false);
  });
});

/** The same meaning, spelled as a backtracking expression; safe here, where texts are short. */
function naiveMatch(glob: string, text: string): boolean {
  const whole = glob.replace(/\/$/, '/**').replace(/^\/+/, '');
  const source = whole.replaceAll(/(?<=^|\/)\*\*\/|\*\*+|\*|\?|./g, (part) => {
    if (part === '**/') return '(?:.*/)?';
    if (part.startsWith('**')) return '.*';
    if (part === '*') return '[^/]*';
    return part === '?' ? '[^/]' : part;
  });
  return new RegExp(`^${source}$`).test(text);
}
