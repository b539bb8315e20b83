import { invalidRequest } from '../domain/errors.ts';
import type { TriggerDefinition } from '../domain/trigger.ts';

/** What a caller reads in place of a value that may be a secret; sent back unchanged, it keeps the value. */
const mask = '***';

/** A definition as it may be shown: the values of the URL's query and of headers are masked (docs/product.md, section 11). */
export function maskTrigger(definition: TriggerDefinition): TriggerDefinition {
  return {
    ...definition,
    url: maskUrl(definition.url),
    headers: definition.headers.map(({ name }) => ({ name, value: mask })),
  };
}

/**
 * Puts back what a caller read masked and sent unchanged: the URL as a whole, and headers by name. Throws 422 where the URL is
 * another receiver's: whoever may change it could otherwise read what was given for the first one.
 */
export function unmaskTrigger(asked: TriggerDefinition, current: TriggerDefinition): TriggerDefinition {
  refuseElsewhere(asked, current);
  const valueOf = (name: string) => current.headers.find((header) => header.name === name)?.value;
  return {
    ...asked,
    url: asked.url === maskUrl(current.url) ? current.url : asked.url,
    headers: asked.headers.map(({ name, value }) => ({
      name,
      value: value === mask ? (valueOf(name) ?? value) : value,
    })),
  };
}

function refuseElsewhere(asked: TriggerDefinition, current: TriggerDefinition): void {
  if (new URL(asked.url).origin === new URL(current.url).origin) return;
  const issues = asked.headers.flatMap(({ name, value }, index) =>
    value === mask && current.headers.some((header) => header.name === name)
      ? [
          {
            pointer: `/headers/${index}/value`,
            code: 'trigger.headers_needed',
            message: `The URL is that of another receiver, and the value of "${name}" was given for this one. Enter it again.`,
          },
        ]
      : [],
  );
  if (issues.length > 0) throw invalidRequest(issues);
}

function maskUrl(text: string): string {
  const url = new URL(text);
  for (const name of new Set(url.searchParams.keys())) url.searchParams.set(name, mask);
  return url.toString();
}
