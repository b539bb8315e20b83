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

/** Puts back what a caller read masked and sent unchanged: the URL as a whole, and headers by name. */
export function unmaskTrigger(asked: TriggerDefinition, current: TriggerDefinition): TriggerDefinition {
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

function maskUrl(text: string): string {
  const url = new URL(text);
  for (const name of new Set(url.searchParams.keys())) url.searchParams.set(name, mask);
  return url.toString();
}
