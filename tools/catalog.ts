/** One pinned outside program: its folder `tools/<name>/` holds go.mod and go.sum, this says how it is built and known. */
export interface Tool {
  readonly version: string;
  /** What the build leaves behind; each is its own `SLIPWAY_TOOL_<NAME>`. */
  readonly binaries: readonly string[];
  /** Go packages, one per binary, in the same order; `.` is a program of ours. */
  readonly packages: readonly string[];
  readonly tags?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** `-X` values: without them `--version` does not name the release. */
  readonly linked?: Readonly<Record<string, string>>;
  /** Asks a binary for its version; a tool without it is never taken from PATH. */
  readonly versionArgs?: readonly string[];
  /** On two cores with an empty Go cache. */
  readonly buildMinutes: number;
  /** `stack` programs run in Slipway; an `oracle` only checks it in tests and races it in benches. */
  readonly role: 'stack' | 'oracle';
}

/** Every outside program Slipway compiles, in the order it compiles them. */
export const tools = {
  registry: {
    version: '3.1.1',
    binaries: ['registry'],
    packages: ['github.com/distribution/distribution/v3/cmd/registry'],
    linked: { 'github.com/distribution/distribution/v3/version.version': 'v3.1.1' },
    versionArgs: ['--version'],
    buildMinutes: 2,
    role: 'stack',
  },
  versitygw: {
    version: '1.7.0',
    binaries: ['versitygw'],
    packages: ['github.com/versity/versitygw/cmd/versitygw'],
    linked: { 'main.Version': '1.7.0' },
    versionArgs: ['--version'],
    buildMinutes: 1,
    role: 'stack',
  },
  buildkit: {
    version: '0.32.2',
    binaries: ['buildkitd', 'buildctl'],
    packages: ['github.com/moby/buildkit/cmd/buildkitd', 'github.com/moby/buildkit/cmd/buildctl'],
    tags: 'osusergo,netgo,static_build,seccomp',
    linked: { 'github.com/moby/buildkit/version.Version': 'v0.32.2' },
    versionArgs: ['--version'],
    buildMinutes: 2,
    role: 'stack',
  },
  temporal: {
    version: '1.8.2',
    binaries: ['temporal'],
    packages: ['github.com/temporalio/cli/cmd/temporal'],
    linked: { 'github.com/temporalio/cli/internal/temporalcli.Version': '1.8.2' },
    versionArgs: ['--version'],
    buildMinutes: 4,
    role: 'stack',
  },
  vulndb: {
    version: '1',
    binaries: ['vulndb'],
    packages: ['.'],
    buildMinutes: 1,
    role: 'stack',
  },
  trivy: {
    version: '0.74.0',
    binaries: ['trivy'],
    packages: ['github.com/aquasecurity/trivy/cmd/trivy'],
    env: { GOEXPERIMENT: 'jsonv2' },
    linked: { 'github.com/aquasecurity/trivy/pkg/version/app.ver': '0.74.0' },
    versionArgs: ['--version'],
    buildMinutes: 6,
    role: 'stack',
  },
  regctl: {
    version: '0.11.5',
    binaries: ['regctl'],
    packages: ['github.com/regclient/regclient/cmd/regctl'],
    linked: { 'github.com/regclient/regclient/internal/version.vcsTag': 'v0.11.5' },
    versionArgs: ['version'],
    buildMinutes: 1,
    role: 'oracle',
  },
  crane: {
    version: '0.21.9',
    binaries: ['crane'],
    packages: ['github.com/google/go-containerregistry/cmd/crane'],
    linked: { 'github.com/google/go-containerregistry/cmd/crane/cmd.Version': '0.21.9' },
    versionArgs: ['version'],
    buildMinutes: 1,
    role: 'oracle',
  },
  oras: {
    version: '1.3.3',
    binaries: ['oras'],
    packages: ['oras.land/oras/cmd/oras'],
    versionArgs: ['version'],
    buildMinutes: 1,
    role: 'oracle',
  },
} as const satisfies Record<string, Tool>;

export type ToolName = keyof typeof tools;

/** The binaries of the named tools: `buildkit` has two. */
export type BinaryOf<N extends ToolName> = (typeof tools)[N]['binaries'][number];

export function isToolName(name: string): name is ToolName {
  return Object.hasOwn(tools, name);
}

/** Every name in the catalogue, in build order. */
export const toolNames: readonly ToolName[] = Object.keys(tools).filter(isToolName);

/** What `npm start` needs; the others are needed by tests and benches only. */
export const stackTools: readonly ToolName[] = toolNames.filter((name) => tools[name].role === 'stack');

/** The entry in its general form, for code that treats every tool alike. */
export function toolOf(name: ToolName): Tool {
  return tools[name];
}
