import type { Logger } from 'pino';

/** What middleware leaves for handlers: `c.get('actor')` is who calls, by name. */
export interface ApiEnv {
  Variables: {
    actor: string;
    requestId: string;
    log: Logger;
  };
}
