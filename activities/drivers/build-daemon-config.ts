import { baseImageNamespace } from '../../domain/instance.ts';
import { gatewayAddress, stepsSubnet } from './build-network.ts';

/** A registry that builds pull from or push to. */
export interface BuildRegistry {
  /** `host[:port]`. */
  readonly host: string;
  /** Spoken to without TLS. */
  readonly isInsecure: boolean;
  readonly region: string;
  /** It answers for docker.io: first to builds of its region, to others for what their own region does not have. */
  readonly hasBaseImages: boolean;
}

export interface DaemonConfigInput {
  readonly registries: readonly BuildRegistry[];
  readonly region: string;
  readonly cniConfig: string;
  readonly cniPlugins: string;
  /** Where steps' control groups go. */
  readonly cgroupParent: string;
}

/** buildkitd.toml of one namespace's daemon. Paths and hosts are written as JSON strings, which TOML reads alike. */
export function daemonConfig({ registries, region, cniConfig, cniPlugins, cgroupParent }: DaemonConfigInput): string {
  const hosted = registries.filter(({ hasBaseImages }) => hasBaseImages);
  const nearFirst = hosted.toSorted((a, b) => Number(b.region === region) - Number(a.region === region));
  const mirrors = nearFirst.map(({ host }) => mirrorOf(host));
  return `insecure-entitlements = []
[worker.oci]
snapshotter = "overlayfs"
networkMode = "cni"
cniConfigPath = ${JSON.stringify(cniConfig)}
cniBinaryPath = ${JSON.stringify(cniPlugins)}
cniPoolSize = 2
defaultCgroupParent = ${JSON.stringify(cgroupParent)}
max-parallelism = 2
gc = true
reservedSpace = "2GB"
maxUsedSpace = "10GB"
minFreeSpace = "5GB"
[worker.containerd]
enabled = false
[frontend."gateway.v0"]
enabled = false
[dns]
nameservers = [${JSON.stringify(gatewayAddress)}]
[registry."docker.io"]
mirrors = ${JSON.stringify(mirrors)}
${registries
  .filter(({ isInsecure }) => isInsecure)
  .map(({ host }) => `[registry.${JSON.stringify(host)}]\nhttp = true\n`)
  .join('')}`;
}

/** Each step gets a network of its own on one bridge, without any address translation: the bridge leads nowhere else. */
export function cniConfig({ addresses }: { readonly addresses: string }): string {
  return JSON.stringify({
    cniVersion: '1.0.0',
    name: 'slipway',
    plugins: [
      {
        type: 'bridge',
        bridge: 'slipway0',
        isDefaultGateway: true,
        ipMasq: false,
        ipam: { type: 'host-local', dataDir: addresses, ranges: [[{ subnet: stepsSubnet }]] },
      },
    ],
  });
}

/** `docker.io/library/x` is asked for as `/v2/slipway-base/library/x`. */
function mirrorOf(host: string): string {
  return `${host}/${baseImageNamespace}`;
}
