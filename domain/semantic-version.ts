/** A semantic version taken apart (semver.org, 2.0.0). */
export interface SemanticVersion {
  /** Without a leading `v` and without build metadata, which no image tag can hold. */
  readonly version: string;
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  readonly isPreRelease: boolean;
}

const number = '(0|[1-9][0-9]*)';
const identifier = '(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)';
const pattern = new RegExp(
  `^v?${number}\\.${number}\\.${number}(?:-(${identifier}(?:\\.${identifier})*))?(?:\\+[0-9A-Za-z-]+(?:\\.[0-9A-Za-z-]+)*)?$`,
);

/** Reads `1.2.3`, `v1.2.3-rc.1`, `1.2.3+build`; undefined when it is no semantic version (`1.2`, `latest`, `01.2.3`). */
export function parseSemanticVersion(text: string): SemanticVersion | undefined {
  const [, major, minor, patch, preRelease] = pattern.exec(text) ?? [];
  if (major === undefined || minor === undefined || patch === undefined) return undefined;
  const core = `${major}.${minor}.${patch}`;
  return {
    version: preRelease === undefined ? core : `${core}-${preRelease}`,
    major,
    minor,
    patch,
    isPreRelease: preRelease !== undefined,
  };
}
