import { readFileSync } from 'node:fs';
import { Connection } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { Config } from '../domain/config.ts';

/** How every process of ours reaches Temporal; the same for client and worker. */
type TemporalConfig = Pick<
  Config,
  | 'SLIPWAY_TEMPORAL_ADDRESS'
  | 'SLIPWAY_TEMPORAL_TLS_CA_FILE'
  | 'SLIPWAY_TEMPORAL_TLS_CERT_FILE'
  | 'SLIPWAY_TEMPORAL_TLS_KEY_FILE'
>;

/** A client connection that is made on first use, so that the API starts, and accepts hooks, without Temporal. */
export function lazyConnection(config: TemporalConfig): Connection {
  return Connection.lazy(connectionOptions(config));
}

/** A worker's connection; fails when the server cannot be reached, the caller tries again. */
export async function workerConnection(config: TemporalConfig): Promise<NativeConnection> {
  // Loaded here only: the API shares this file and would carry the native core, some 30 MB, for nothing.
  const { NativeConnection: Native } = await import('@temporalio/worker');
  return Native.connect(connectionOptions(config));
}

function connectionOptions(config: TemporalConfig) {
  const {
    SLIPWAY_TEMPORAL_TLS_CA_FILE: ca,
    SLIPWAY_TEMPORAL_TLS_CERT_FILE: cert,
    SLIPWAY_TEMPORAL_TLS_KEY_FILE: key,
  } = config;
  const address = config.SLIPWAY_TEMPORAL_ADDRESS;
  if (ca === undefined && cert === undefined) return { address };
  return {
    address,
    tls: {
      ...(ca === undefined ? {} : { serverRootCACertificate: readFileSync(ca) }),
      ...(cert === undefined || key === undefined
        ? {}
        : { clientCertPair: { crt: readFileSync(cert), key: readFileSync(key) } }),
    },
  };
}
