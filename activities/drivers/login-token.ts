import { randomUUID } from 'node:crypto';
import { SignJWT, errors, jwtVerify } from 'jose';
import { z } from 'zod';
import type { TokenKey } from './token-key.ts';

export { publicJwks } from './token-key.ts';

/** What a login token allows: `repository` is `namespace/name`, or a glob such as `namespace/*` or `*`. */
const loginAccessSchema = z.array(
  z.object({ repository: z.string().min(1), actions: z.array(z.enum(['pull', 'push', 'delete'])) }),
);
export type LoginAccess = readonly {
  readonly repository: string;
  readonly actions: readonly ('pull' | 'push' | 'delete')[];
}[];

export interface LoginGrant {
  /** Who logs in: an account, or a part of Slipway such as `build/<id>`. */
  readonly subject: string;
  readonly access: LoginAccess;
  /** Name of the one instance it is for; left out, it logs in to every managed instance. */
  readonly instance?: string | undefined;
}

/**
 * Temporary passwords for `docker login` at Slipway's token service: signed, not stored, bounded in time and reach
 * (docs/product.md, section 2, "Credentials").
 */
export interface LoginTokens {
  sign(grant: LoginGrant & { readonly ttlSeconds: number }): Promise<string>;
  /** The grant, or undefined when the token is no login token of ours or has ended. */
  verify(token: string): Promise<LoginGrant | undefined>;
}

const issuer = 'slipway';
const audience = 'slipway-login';
const claimsSchema = z.object({ sub: z.string(), access: loginAccessSchema, instance: z.string().optional() });

export function createLoginTokens({
  key,
  clock = () => new Date(),
}: {
  key: TokenKey;
  clock?: () => Date;
}): LoginTokens {
  return {
    sign({ subject, access, instance, ttlSeconds }) {
      const now = Math.floor(clock().getTime() / 1000);
      return new SignJWT({ access, ...(instance === undefined ? {} : { instance }) })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'JWT' })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(subject)
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(now + ttlSeconds)
        .sign(key.privateKey);
    },
    async verify(token) {
      try {
        const { payload } = await jwtVerify(token, key.publicKey, {
          algorithms: ['ES256'],
          issuer,
          audience,
          currentDate: clock(),
        });
        const claims = claimsSchema.safeParse(payload);
        if (!claims.success) return undefined;
        return { subject: claims.data.sub, access: claims.data.access, instance: claims.data.instance };
      } catch (error) {
        if (error instanceof errors.JOSEError) return undefined;
        throw error;
      }
    },
  };
}
