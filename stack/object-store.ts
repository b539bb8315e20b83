import { mkdir } from 'node:fs/promises';
import type { Part } from './supervisor.ts';
import { answersHttp } from './wait.ts';

/** The one bucket of the embedded stack; a bucket of versitygw is a folder. */
export const bucket = 'slipway';

/** versitygw on a folder, as a part of the stack. */
export function objectStorePart({
  binary,
  folder,
  port,
  accessKey,
  secretKey,
}: {
  readonly binary: string;
  readonly folder: string;
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
}): Part {
  const endpoint = `127.0.0.1:${port}`;
  return {
    name: 'object-store',
    program: {
      command: binary,
      // Beside the objects, so that it works on file systems without extended attributes too.
      args: [
        '--port',
        endpoint,
        '--health',
        '/health',
        '--quiet',
        'posix',
        '--sidecar',
        `${folder}/meta`,
        `${folder}/data`,
      ],
      env: { ROOT_ACCESS_KEY: accessKey, ROOT_SECRET_KEY: secretKey },
    },
    prepare: async () => {
      await mkdir(`${folder}/meta`, { recursive: true });
      await mkdir(`${folder}/data/${bucket}`, { recursive: true });
    },
    isReady: () => answersHttp(`http://${endpoint}/health`),
    readyWithinMs: 20_000,
    stopWithinMs: 5_000,
  };
}
