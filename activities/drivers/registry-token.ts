import { randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { limits } from '../../domain/limits.ts';
import type { TokenKey } from './token-key.ts';

/** One thing a registry token allows, as the docker token protocol writes it. */
export interface RegistryGrant {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

export interface RegistryToken {
  readonly token: string;
  readonly expiresInSeconds: number;
  readonly issuedAt: Date;
}

/** Signs the short tokens a managed instance's registry checks by our JWKS: ES256, `kid`, no refresh tokens. */
export interface RegistryTokens {
  sign(input: {
    readonly subject: string;
    /** The registry's `service`: the instance's name. */
    readonly service: string;
    readonly access: readonly RegistryGrant[];
  }): Promise<RegistryToken>;
}

/** A registry's clock may be a little behind ours. */
const leewaySeconds = 60;

export function createRegistryTokens({
  key,
  clock = () => new Date(),
}: {
  key: TokenKey;
  clock?: () => Date;
}): RegistryTokens {
  return {
    async sign({ subject, service, access }) {
      const issuedAt = clock();
      const now = Math.floor(issuedAt.getTime() / 1000);
      const token = await new SignJWT({ access })
        .setProtectedHeader({ alg: 'ES256', kid: key.kid, typ: 'JWT' })
        .setIssuer('slipway')
        .setSubject(subject)
        .setAudience(service)
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setNotBefore(now - leewaySeconds)
        .setExpirationTime(now + limits.registryTokenSeconds)
        .sign(key.privateKey);
      return { token, expiresInSeconds: limits.registryTokenSeconds, issuedAt };
    },
  };
}
