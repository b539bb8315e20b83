import type { z } from 'zod';
import type { FieldError } from '../domain/errors.ts';

type Issue = z.core.$ZodIssue;

/** Where a schema stood: `json` is the body, anything else names a parameter. */
export interface FieldContext {
  /** First word of the codes: `build_rule` makes `build_rule.timeout_minutes_invalid`. */
  readonly thing: string;
  readonly target: string;
}

/** Parts of a document that are things of their own, with codes of their own (docs/product.md, "Field tables"). */
const innerThings: readonly { readonly path: RegExp; readonly thing: string }[] = [
  { path: /^nodes\/scan\//, thing: 'scan' },
  { path: /^codeSource\//, thing: 'source' },
  { path: /^buildRules\/\d+\//, thing: 'build_rule' },
];

/** Fields whose code the product document names itself. */
const namedCodes: readonly { readonly path: RegExp; readonly code: string }[] = [
  { path: /^nodes\/[^/]+$/, code: 'chain.graph_fixed' },
  { path: /^nodes\/scan\/engine$/, code: 'scan.engine_unavailable' },
  { path: /^(?:rule\/|buildRules\/\d+\/)?paths\/(?:include|exclude)(?:\/|$)/, code: 'build_rule.paths_invalid' },
  { path: /^(?:rule\/|buildRules\/\d+\/)?schedule\/(?:cron|timeZone)$/, code: 'build_rule.schedule_invalid' },
];

/** Every issue of a failed parse as the API words it: a pointer, a stable code and a sentence. */
export function fieldErrors(issues: readonly Issue[], context: FieldContext): FieldError[] {
  return issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownField([...issue.path, key], context));
    const path = issue.path.map(String);
    return [
      { pointer: pointerOf(path, context), code: codeOf(issue, path, context), message: sentenceOf(issue, path) },
    ];
  });
}

function unknownField(path: readonly PropertyKey[], context: FieldContext): FieldError {
  const name = String(path.at(-1));
  return {
    pointer: pointerOf(path.map(String), context),
    code: namedCodeOf(path.join('/')) ?? 'request.unknown_field',
    message: `"${name}" is not a field here. Check its spelling, or leave it out.`,
  };
}

/** JSON pointer into the body (RFC 6901), or `?name` for a parameter. */
function pointerOf(path: readonly string[], { target }: FieldContext): string {
  if (target !== 'json') return `?${path.join('.')}`;
  return path.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function codeOf(issue: Issue, path: readonly string[], { thing, target }: FieldContext): string {
  if (issue.code === 'custom' && typeof issue.params?.['code'] === 'string') return issue.params['code'];
  if (target !== 'json') return `request.${snakeCase(path.join('_'))}_invalid`;
  const whole = path.join('/');
  const named = namedCodeOf(whole);
  if (named !== undefined) return named;
  const inner = innerThings.find((each) => each.path.test(whole));
  const rest = inner === undefined ? path : whole.replace(inner.path, '').split('/');
  const field = fieldOf(rest);
  return field === undefined ? 'request.body_invalid' : `${inner?.thing ?? thing}.${snakeCase(field)}_invalid`;
}

function namedCodeOf(path: string): string | undefined {
  return namedCodes.find((each) => each.path.test(path))?.code;
}

/** The named field: the last name before the first index, so that `imageTags/0/template` is `imageTags`. */
function fieldOf(path: readonly string[]): string | undefined {
  const index = path.findIndex((part) => /^\d+$/.test(part));
  return (index === -1 ? path : path.slice(0, index)).at(-1);
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** zod's own words name no field and show patterns without a hint; a sentence of a schema's own is kept as it is. */
function sentenceOf(issue: Issue, path: readonly string[]): string {
  const name = path.length === 0 ? 'The body' : `"${path.join('.')}"`;
  switch (issue.code) {
    case 'custom':
      return issue.message;
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? `${name} is missing.`
        : `${name} must be of type ${issue.expected}.`;
    case 'invalid_value':
      return `${name} must be one of ${issue.values.map((value) => JSON.stringify(value)).join(', ')}.`;
    case 'too_small':
      return `${name} must ${boundOf('least', issue.minimum, issue.origin)}.`;
    case 'too_big':
      return `${name} must ${boundOf('most', issue.maximum, issue.origin)}.`;
    case 'invalid_format':
      return issue.format === 'regex' && issue.pattern !== undefined
        ? `${name} must match ${issue.pattern}.`
        : `${name} is not a valid ${issue.format}.`;
    case 'not_multiple_of':
    case 'unrecognized_keys':
    case 'invalid_union':
    case 'invalid_key':
    case 'invalid_element':
      return `${name} does not hold: ${issue.message}.`;
  }
}

function boundOf(side: 'least' | 'most', bound: number | bigint, origin: string): string {
  switch (origin) {
    case 'string':
      return `have at ${side} ${bound} characters`;
    case 'array':
      return `have at ${side} ${bound} items`;
    default:
      return `be at ${side} ${bound}`;
  }
}
