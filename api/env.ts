import type { Logger } from 'pino';

/** What middleware leaves for handlers: `c.get('actor')` is who calls, by name; `byHand` the cause of what they start. */
export interface ApiEnv {
  Variables: {
    actor: string;
    /** In the console, or with a token. */
    byHand: 'manual' | 'api';
    requestId: string;
    log: Logger;
  };
}
