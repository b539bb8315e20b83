import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { Client, Connection, WorkflowNotFoundError } from '@temporalio/client';
import { createEgress } from '../../activities/drivers/egress.ts';
import { createLoginTokens } from '../../activities/drivers/login-token.ts';
import { createObjectStore } from '../../activities/drivers/object-store.ts';
import { createRegistries } from '../../activities/drivers/registries.ts';
import { parseTokenKey } from '../../activities/drivers/token-key.ts';
import { check } from '../../cli/operator/check.ts';
import type { CheckDeps, Violation } from '../../cli/operator/check.ts';
import { createDatabase } from '../../db/database.ts';
import { findInstance } from '../../db/repositories/instance.ts';
import { openKeys } from '../../stack/keys.ts';
import type { StackFile } from '../../stack/stack-file.ts';

/** After any fault the installation is whole again within this time. */
const recoveryMs = 120_000;

/** The checker over a running stack, as an operator would have it. */
export interface StackCheck {
  /** Waits until everything holds, however young it is; throws with what does not after the two minutes recovery may take. */
  untilClean(): Promise<void>;
  /** What does not hold once recovery had its two minutes; none means clean. */
  violations(): Promise<readonly Violation[]>;
  close(): Promise<void>;
}

export async function openChecker(stack: StackFile & { readonly home: string }): Promise<StackCheck> {
  const { home, url, temporal, postgres, objectStore: store } = stack;
  const keys = await openKeys(home);
  const db = createDatabase({ url: postgres.url, maxConnections: 2 });
  const connection = await Connection.connect({ address: temporal.address });
  const { workflow } = new Client({ connection, namespace: temporal.namespace });
  const egress = createEgress({ policy: { allow: ['loopback'], denied: [], ports: 'any', isHttpAllowed: true } });
  const objectStore = createObjectStore({
    endpoint: store.endpoint,
    region: 'us-east-1',
    bucket: store.bucket,
    accessKeyId: keys.passwords.objectStoreAccessKey,
    secretAccessKey: keys.passwords.objectStoreSecretKey,
  });
  const deps: Omit<CheckDeps, 'signal'> = {
    db,
    isWorkflowRunning: async (workflowId) => {
      try {
        return (await workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    registries: createRegistries({
      findInstance: (idOrName) => findInstance(db, idOrName),
      loginTokens: createLoginTokens({ key: parseTokenKey(await readFile(keys.files.tokenKey, 'utf8')) }),
      openSecret: async () => {
        throw new Error('the instances of the stack are managed: none has a login of its own');
      },
      // As the registries of the stack name it.
      tokenServer: `http://localhost:${new URL(url).port}`,
      dispatcher: egress.dispatcher,
    }),
    objectStore,
    clock: () => new Date(),
    graceMs: 0,
  };
  const settledViolations = async (): Promise<readonly Violation[]> => {
    const deadline = Date.now() + recoveryMs;
    for (;;) {
      const violations = await check({ ...deps, signal: AbortSignal.timeout(60_000) });
      if (violations.length === 0 || Date.now() > deadline) return violations;
      await delay(1_000);
    }
  };
  return {
    violations: settledViolations,
    async untilClean() {
      const violations = await settledViolations();
      if (violations.length > 0) throw new Error(`The stack does not hold: ${JSON.stringify(violations, null, 1)}`);
    },
    async close() {
      await db.destroy();
      await connection.close();
      await egress.close();
      objectStore.close();
    },
  };
}
