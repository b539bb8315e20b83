/** A source of Docker Hub and its tags, in our words; `unknown` names what a tag asks for and the source does not capture. */
export type TranslatedSource =
  | {
      readonly kind: 'source';
      readonly name: string;
      readonly match: 'exact' | 'regexp';
      readonly templates: readonly string[];
    }
  | { readonly kind: 'unknown'; readonly placeholder: string };

const placeholder = /\{[^}]*\}?/g;
const wholeName = 'sourceref';

/** Translates a source (`main`, `/^v([0-9.]+)$/`) and the tags that take from it (`v{\1}`, `{sourceref}`). */
export function translateExpression(source: string, tags: readonly string[]): TranslatedSource {
  const expression = /^\/(.+)\/$/s.exec(source)?.[1];
  const wanted = new Set(tags.flatMap((tag) => tag.match(placeholder) ?? []));
  return expression === undefined
    ? translateName(source, { tags, wanted })
    : translateRegexp(expression, { tags, wanted });
}

interface Tags {
  readonly tags: readonly string[];
  /** `{\1}`, `{sourceref}`. */
  readonly wanted: ReadonlySet<string>;
}

function translateName(name: string, { tags, wanted }: Tags): TranslatedSource {
  const strange = [...wanted].find((each) => each !== `{${wholeName}}`);
  if (strange !== undefined) return { kind: 'unknown', placeholder: strange };
  const templates = tags.map((tag) => tag.replaceAll(`{${wholeName}}`, () => name));
  return { kind: 'source', name, match: 'exact', templates };
}

function translateRegexp(expression: string, { tags, wanted }: Tags): TranslatedSource {
  const numbers = new Set([...wanted].flatMap((each) => /^\{\\([1-9])\}$/.exec(each)?.[1] ?? []).map(Number));
  const named = nameGroups(expression, numbers);
  const words = new Map([
    [`{${wholeName}}`, wholeName],
    ...[...named.names].map(([number, name]) => [`{\\${number}}`, name] as const),
  ]);
  const strange = [...wanted].find((each) => !words.has(each));
  if (strange !== undefined) return { kind: 'unknown', placeholder: strange };
  const whole = matchWhole(named.expression);
  const name = wanted.has(`{${wholeName}}`) ? `(?<${wholeName}>${whole})` : whole;
  const templates = tags.map((tag) => tag.replaceAll(placeholder, (each) => `\${${words.get(each) ?? ''}}`));
  return { kind: 'source', name, match: 'regexp', templates };
}

/** Gives the groups of these numbers a name, if they have none: `g1`. */
function nameGroups(
  expression: string,
  numbers: ReadonlySet<number>,
): { expression: string; names: ReadonlyMap<number, string> } {
  const names = new Map<number, string>();
  let count = 0;
  const renamed = expression.replaceAll(piece, (token) => {
    const given = /^\(\?P?<([A-Za-z_]\w*)>$/.exec(token)?.[1];
    if (token !== '(' && given === undefined) return token;
    count += 1;
    if (!numbers.has(count)) return token;
    names.set(count, given ?? `g${count}`);
    return given === undefined ? `(?<g${count}>` : token;
  });
  return { expression: renamed, names };
}

/** An escaped character, a whole character class, an opening of a group with a name or a flag, or one character. */
const piece = /\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\(\?P?<[A-Za-z_]\w*>|\(\?|[^]/g;

/** What finds the expression anywhere in a name, as an expression that must match the whole name. */
function matchWhole(expression: string): string {
  const tokens = expression.match(piece) ?? [];
  if (hasAlternatives(tokens)) return `.*?(?:${expression}).*`;
  const hasStart = tokens[0] === '^';
  const hasEnd = tokens.length > 1 && tokens.at(-1) === '$';
  const inner = tokens.slice(hasStart ? 1 : 0, hasEnd ? -1 : undefined).join('');
  return `${hasStart ? '' : '.*?'}${inner}${hasEnd ? '' : '.*'}`;
}

/** Whether a `|` stands outside of every group; anchors then belong to one alternative only. */
function hasAlternatives(tokens: readonly string[]): boolean {
  let depth = 0;
  for (const token of tokens) {
    if (token.startsWith('(')) depth += 1;
    else if (token === ')') depth -= 1;
    else if (token === '|' && depth === 0) return true;
  }
  return false;
}
