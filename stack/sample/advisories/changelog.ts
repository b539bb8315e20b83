/** One uploaded version in a Debian changelog, newest first there and here. */
export interface ChangelogEntry {
  readonly source: string;
  readonly version: string;
  /** The suite it was uploaded to: `bookworm-security`, `unstable`, … */
  readonly suite: string;
  readonly urgency: string;
  readonly items: readonly ChangelogItem[];
}

/** One bullet with its continuation lines joined; `context` is the text of the bullets it stands under. */
interface ChangelogItem {
  readonly text: string;
  readonly context: string;
}

/** One line of the data file, the input of `tools/vulndb`. */
export interface Advisory {
  readonly cve: string;
  /** Trivy's name of the release: `debian 12`. */
  readonly platform: string;
  readonly source: string;
  readonly fixedVersion: string;
  readonly severity: Severity;
  readonly title: string;
}

export type Severity = 'LOW' | 'MEDIUM' | 'HIGH' | 'CRITICAL';

const SEVERITIES: readonly Severity[] = ['LOW', 'MEDIUM', 'HIGH', 'CRITICAL'];
const CVE = /CVE-\d{4}-\d{4,}/g;
const HEADER = /^(?<source>[a-z0-9][a-z0-9+.-]*) \((?<version>[^)]+)\) (?<suite>[^;]+); *urgency=(?<urgency>[a-z]+)/;
const BULLET = /^(?<indent> +)[*+-] +(?<text>.*)$/;
/** Mentions that are no fix. */
const NO_FIX =
  /\b(not affected|unaffected|not vulnerable|revert(ed|s)?|postponed|regression|already fixed|no patch needed|only (applies|applied|affects))\b/i;
const TITLE_LENGTH = 160;

// The rule of README.md: what the words say, then one step up or down by the upload's urgency.
const TAKES_OVER =
  /(code|command) (execution|injection)|execut\w+ (of )?arbitrary|privilege escalation|authentication bypass/i;
const ONLY_STOPS =
  /denial.of.service|\bDoS\b|crash|exhaustion|infinite loop|null.(pointer.)?deref|memory (leak|usage|use)|timing|assertion/i;
const URGENCY_STEPS: Readonly<Record<string, number>> = { low: -1, medium: 0, high: 1, emergency: 1, critical: 1 };

/** Reads a `changelog.Debian`; lines it does not know are left out. */
export function parseChangelog(text: string): ChangelogEntry[] {
  const blocks = text.split(/^(?=\S.* \(.+\) .+; *urgency=)/m);
  return blocks.flatMap((block) => {
    const { source, version, suite, urgency } = HEADER.exec(block)?.groups ?? {};
    if (source === undefined || version === undefined || suite === undefined || urgency === undefined) return [];
    return [{ source, version, suite: suite.trim(), urgency, items: parseItems(block) }];
  });
}

function parseItems(block: string): ChangelogItem[] {
  const items: { readonly indent: number; readonly context: string; text: string }[] = [];
  for (const line of block.split('\n').slice(1)) {
    if (line.startsWith(' -- ')) break;
    const { indent, text } = BULLET.exec(line)?.groups ?? {};
    const last = items.at(-1);
    if (indent !== undefined && text !== undefined) {
      const parent = items.findLast((item) => item.indent < indent.length);
      const context = parent === undefined ? '' : `${parent.context} ${parent.text}`.trim();
      items.push({ indent: indent.length, context, text });
    } else if (line.trim() !== '' && last !== undefined) last.text += ` ${line.trim()}`;
  }
  return items.map(({ text, context }) => ({ text, context }));
}

/**
 * The advisories a package's changelog tells: every CVE whose first mention is in an upload to `release` or its security
 * suite, fixed in that upload.
 */
export function advisoriesOf(
  entries: readonly ChangelogEntry[],
  { release, platform }: { readonly release: string; readonly platform: string },
): Advisory[] {
  const suites = [release, `${release}-security`, `${release}-updates`, `${release}-proposed-updates`];
  const known = new Map<string, Advisory | undefined>();
  for (const entry of entries.toReversed()) {
    for (const item of entry.items.filter(({ text }) => !NO_FIX.test(text))) {
      for (const [cve] of item.text.matchAll(CVE)) {
        if (known.has(cve)) continue;
        known.set(cve, suites.includes(entry.suite) ? advisory(cve, { entry, item, platform }) : undefined);
      }
    }
  }
  return [...known.values()].filter((found) => found !== undefined);
}

function advisory(
  cve: string,
  {
    entry,
    item,
    platform,
  }: { readonly entry: ChangelogEntry; readonly item: ChangelogItem; readonly platform: string },
): Advisory {
  const { source, version, urgency } = entry;
  const severity = severityOf(`${item.context} ${item.text}`, urgency);
  const title =
    [item.text, item.context].map(wordsOf).find((words) => words.includes(' ')) ?? `${source} security update`;
  return { cve, platform, source, fixedVersion: version, severity, title };
}

/** The stated rule; sample data, not anyone's official rating. */
export function severityOf(words: string, urgency: string): Severity {
  const base = TAKES_OVER.test(words) ? 2 : ONLY_STOPS.test(words) ? 0 : 1;
  const step = Math.min(Math.max(base + (URGENCY_STEPS[urgency] ?? 0), 0), SEVERITIES.length - 1);
  return SEVERITIES[step] ?? 'MEDIUM';
}

/** The words of an item alone: without CVE ids, bug numbers and what stands around them. */
function wordsOf(text: string): string {
  const words = text
    .replaceAll(/\(?Closes:[^)]*\)?/gi, '')
    .replaceAll(CVE, '')
    .replaceAll(/\[SECURITY\]|\([\s,;]*\)/g, '')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/ +(?=[:;,.])/g, '')
    .replaceAll(/^[\s:;,./–-]+|[\s:;,./–-]+$/g, '')
    .replace(/^\((.*)\)$/, '$1')
    .replace(/^"(.*)"$/, '$1');
  return words.length <= TITLE_LENGTH ? words : `${words.slice(0, TITLE_LENGTH - 1)}…`;
}
