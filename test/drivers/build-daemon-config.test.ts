import { describe, expect, test } from 'vitest';
import { cniConfig, daemonConfig, type BuildRegistry } from '../../activities/drivers/build-daemon-config.ts';

const hangzhou: BuildRegistry = {
  host: '127.0.0.1:5001',
  isInsecure: true,
  region: 'cn-hangzhou',
  hasBaseImages: true,
};
const singapore: BuildRegistry = {
  host: 'images.example.com',
  isInsecure: false,
  region: 'ap-southeast-1',
  hasBaseImages: true,
};
const harbor: BuildRegistry = {
  host: 'harbor.example.com',
  isInsecure: false,
  region: 'eu-west-1',
  hasBaseImages: false,
};

function configFor(region: string): string {
  const paths = { cniConfig: '/b/network.conflist', cniPlugins: '/usr/lib/cni', cgroupParent: '/slipway/x/steps' };
  return daemonConfig({ registries: [hangzhou, singapore, harbor], region, ...paths });
}

describe('the configuration of a namespace’s daemon', () => {
  test('docker.io is answered by the hosted base images of the build’s region, then by those of others', () => {
    const [here, there] = ['127.0.0.1:5001/slipway-base', 'images.example.com/slipway-base'];
    expect(configFor('ap-southeast-1')).toContain(`mirrors = ["${there}","${here}"]`);
    expect(configFor('cn-hangzhou')).toContain(`mirrors = ["${here}","${there}"]`);
    expect(configFor('eu-west-1')).toContain(`mirrors = ["${here}","${there}"]`);
  });

  test('only registries without TLS are spoken to without it', () => {
    const config = configFor('cn-hangzhou');
    expect(config).toContain('[registry."127.0.0.1:5001"]\nhttp = true');
    expect(config.match(/http = true/g)).toHaveLength(1);
  });

  test('a build may ask for nothing of its host, and for no other maker’s frontend', () => {
    const config = configFor('cn-hangzhou');
    expect(config).toContain('insecure-entitlements = []');
    expect(config).toContain('[frontend."gateway.v0"]\nenabled = false');
    expect(config).toContain('defaultCgroupParent = "/slipway/x/steps"');
  });
});

test('the network of steps has no way out by address translation', () => {
  const { plugins } = JSON.parse(cniConfig({ addresses: '/b/addresses' }));
  expect(plugins).toEqual([expect.objectContaining({ type: 'bridge', ipMasq: false })]);
});
