import { limits } from './limits.ts';
import { isDigest } from './digest.ts';

/** `host[:port]/path[:tag][@digest]`, taken apart. The host is always written: there is no default registry. */
export interface ImageRef {
  /** `host[:port]`, lower case as a registry is addressed. */
  readonly registry: string;
  /** One or more path components; at Slipway's own registries `<namespace>/<repository>`. */
  readonly repository: string;
  readonly tag?: string;
  readonly digest?: string;
}

const tagPattern = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

const component = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${component}(?:/${component})*$`);
const registryPattern = /^(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i;
const maxPort = 65_535;

export function isTag(text: string): boolean {
  return tagPattern.test(text);
}

/** Whether `text` is a repository's whole path below a registry, at most 255 characters. */
export function isRepositoryPath(text: string): boolean {
  return text.length <= limits.imagePathLength && repositoryPattern.test(text);
}

/** The parts of an image reference, or undefined when it is not one. */
export function parseImageRef(text: string): ImageRef | undefined {
  const [name = '', digest, ...more] = text.split('@');
  if (more.length > 0 || (digest !== undefined && !isDigest(digest))) return undefined;

  const slash = name.indexOf('/');
  const registry = name.slice(0, Math.max(slash, 0));
  const [repository = '', tag, ...rest] = name.slice(slash + 1).split(':');
  if (rest.length > 0 || (tag !== undefined && !isTag(tag))) return undefined;
  if (!isRegistry(registry) || !isRepositoryPath(repository)) return undefined;

  return { registry, repository, ...(tag === undefined ? {} : { tag }), ...(digest === undefined ? {} : { digest }) };
}

export function formatImageRef({ registry, repository, tag, digest }: ImageRef): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}

/** A first component without a dot, port or `localhost` would be a path on Docker Hub in other tools: refused, not guessed. */
function isRegistry(text: string): boolean {
  if (!registryPattern.test(text)) return false;
  const port = /:([0-9]+)$/.exec(text)?.[1];
  if (port !== undefined && (Number(port) === 0 || Number(port) > maxPort)) return false;
  return port !== undefined || text.includes('.') || text.startsWith('[') || text === 'localhost';
}
