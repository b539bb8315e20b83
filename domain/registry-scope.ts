import { isRepositoryPath } from './image-ref.ts';

/** One thing a registry client asks to be allowed, as the docker token protocol writes it: `repository:shop/web:pull,push`. */
export interface RegistryScope {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

/** Repository actions a token can allow. */
export const registryActions = ['pull', 'push', 'delete'] as const;
export type RegistryAction = (typeof registryActions)[number];

/** Reads the `scope` parameters of a token request; each may hold several, by spaces. What cannot be read asks for nothing. */
export function parseScopes(texts: readonly string[]): RegistryScope[] {
  return texts.flatMap((text) => text.split(' ')).flatMap((text) => parseScope(text) ?? []);
}

function parseScope(text: string): RegistryScope | undefined {
  const [type = '', ...rest] = text.split(':');
  const actions = rest.pop();
  if (actions === undefined || rest.length === 0) return undefined;
  return {
    type: type.replace(/\(.*\)$/, ''),
    name: rest.join(':'),
    actions: actions.split(',').filter((action) => action !== ''),
  };
}

/** Namespace and repository of a path; the first part is the namespace. Undefined when it is no path of ours. */
export function splitPath(path: string): { namespace: string; name: string } | undefined {
  const slash = path.indexOf('/');
  if (slash === -1 || !isRepositoryPath(path)) return undefined;
  return { namespace: path.slice(0, slash), name: path.slice(slash + 1) };
}

/** Whether an access rule names this path: exactly, by `namespace/*`, or by `*`. */
export function coversPath(rule: string, path: string): boolean {
  if (rule === '*' || rule === path) return true;
  return rule.endsWith('/*') && path.startsWith(rule.slice(0, -1));
}
