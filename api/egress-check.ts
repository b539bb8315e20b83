import { isIP } from 'node:net';
import { bareHost, egressRefusal, isAllowed, urlPort } from '../domain/egress.ts';
import { invalidRequest } from '../domain/errors.ts';
import type { ApiDeps } from './deps.ts';

/**
 * Refuses a URL that requests may not leave to, by its form and by every address behind its name (docs/product.md, section 5
 * and 11). It is checked again at every attempt: names change. Throws 422 with `url.forbidden` at `pointer`.
 */
export async function checkUrl(
  { egressPolicy, resolveHost }: Pick<ApiDeps, 'egressPolicy' | 'resolveHost'>,
  { url: text, pointer }: { url: string; pointer: string },
): Promise<void> {
  const url = new URL(text);
  const refusal = egressRefusal(url, egressPolicy);
  if (refusal !== undefined) throw forbidden(pointer, refusal);
  const host = bareHost(url);
  // An address written as such was judged with the form.
  if (isIP(host) !== 0) return;
  const addresses = await resolveHost(host).catch(() => []);
  if (addresses.length === 0) throw forbidden(pointer, `The name ${host} has no address. Check its spelling.`);
  const refused = addresses.find((ip) => !isAllowed({ host, ip, port: urlPort(url) }, egressPolicy));
  if (refused !== undefined)
    throw forbidden(
      pointer,
      `Requests may not leave to ${host} (${refused}): it is not among the addresses the administrator allows.`,
    );
}

function forbidden(pointer: string, message: string) {
  return invalidRequest([{ pointer, code: 'url.forbidden', message }]);
}
