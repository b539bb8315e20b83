import type { Keys } from './keys.ts';

/** Settings of the compose topology that have a default, or need none; each is described in domain/config.ts. */
const optional = [
  'SLIPWAY_PORT',
  'SLIPWAY_TEMPORAL_UI_URL',
  'SLIPWAY_REGIONS',
  'SLIPWAY_EGRESS_ALLOW',
  'SLIPWAY_EGRESS_PORTS',
  'SLIPWAY_EGRESS_HTTP',
  'SLIPWAY_TRUSTED_PROXIES',
  'SLIPWAY_WAITING_BUILDS',
  'SLIPWAY_BUILD_SLOTS',
  'SLIPWAY_DELIVERIES_KEPT_DAYS',
  'SLIPWAY_LOGS_KEPT_DAYS',
  'SLIPWAY_RECORDS_KEPT_DAYS',
  'SLIPWAY_TRIVY_DB_REPOSITORY',
  'SLIPWAY_TIMINGS',
  'SLIPWAY_LOG_LEVEL',
];

/** The first `.env` of the compose topology: its secrets, and every setting by name. */
export function composeEnv({ passwords }: Pick<Keys, 'passwords'>): string {
  const lines = [
    '# The address under which people, registries and builders reach this machine. A name, neither localhost nor an IP address:',
    '# containers must reach it too, and Trivy refuses to log in at an address of a private network.',
    '#SLIPWAY_URL=http://slipway.example:8080',
    `POSTGRES_PASSWORD=${passwords.postgres}`,
    `OBJECT_STORE_ACCESS_KEY=${passwords.objectStoreAccessKey}`,
    `OBJECT_STORE_SECRET_KEY=${passwords.objectStoreSecretKey}`,
    `REGISTRY_HTTP_SECRET=${passwords.registryHttp}`,
    '',
    '# Settings with a default, described in domain/config.ts; OAuth applications and GitHub Apps of source hosts stand in',
    '# .slipway-compose/keys/source-apps.json (docs/sources.md).',
    ...optional.map((name) => `#${name}=`),
  ];
  return `${lines.join('\n')}\n`;
}
