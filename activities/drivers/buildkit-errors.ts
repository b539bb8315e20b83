import type { BuildErrorCode, BuildProblem } from '../../domain/build-error.ts';
import { plainLine } from '../../domain/log-text.ts';

interface Place {
  readonly file: string;
  readonly line: number;
}

interface Case {
  readonly pattern: RegExp;
  readonly code: BuildErrorCode;
  readonly fault: 'user' | 'system';
  readonly isPermanent: boolean;
  readonly text: (match: RegExpExecArray, where: string) => string;
  readonly params?: (match: RegExpExecArray) => Readonly<Record<string, string | number>>;
}

const user = { fault: 'user', isPermanent: true } as const;
const passing = { fault: 'system', isPermanent: false } as const;
const diskFull = {
  code: 'build.disk_full',
  ...passing,
  text: () => 'The builder ran out of disk space. Slipway tries again; if it goes on, enlarge or prune its disk.',
} as const;
const refusal = 'denied|unauthorized|insufficient_scope|authorization failed|40[13] ';
const baseImage = String.raw`failed to resolve source metadata for (\S+):`;
const image = (match: RegExpExecArray): { image: string } => ({ image: match[1] ?? '' });

/** What buildctl's last words mean; the first that fits counts. Every failure of it exits with 1. */
const cases: readonly Case[] = [
  // Steps first: what they say holds the user's own command, which may read like any other case.
  {
    pattern: /^Canceled: context canceled|exit code: \d+: context canceled/,
    code: 'build.builder_unreachable',
    ...passing,
    text: () => 'The builder went away during the build. Slipway tries again by itself.',
  },
  {
    pattern: /[^]*did not complete successfully: exit code: (\d+)/,
    code: 'build.step_failed',
    ...user,
    params: ([, exitCode]) => ({ exitCode: Number(exitCode) }),
    text: ([, exitCode], where) =>
      `A step${where} ended with exit code ${exitCode}${exitCode === '137' ? ', which usually means that it ran out of memory' : ''}. Its last lines in the log say why.`,
  },
  // What follows is the daemon's: the step did not even begin.
  {
    pattern: /[^]*did not complete successfully: .*(?:no space left on device|disk quota exceeded)/,
    ...diskFull,
  },
  {
    pattern: /[^]*did not complete successfully: (.*)/,
    code: 'build.step_failed',
    ...user,
    text: ([, said = ''], where) => `A step${where} could not run: ${said}.`,
  },
  {
    pattern: /Refused by the egress rules|invalid response status 451/,
    code: 'build.address_refused',
    ...user,
    text: (_, where) =>
      `The build asked for an address${where} that builds may not reach. Take it from elsewhere, or have the administrator allow the address.`,
  },
  {
    pattern: /no space left on device|disk quota exceeded/,
    ...diskFull,
  },
  {
    pattern: /failed to list workers|Unavailable: |transport is closing|error reading from server|no buildkit workers/,
    code: 'build.builder_unreachable',
    ...passing,
    text: () => 'The builder was not reached. Slipway tries again by itself.',
  },
  {
    pattern: /exec format error/,
    code: 'build.emulation_missing',
    ...passing,
    text: () =>
      'The builder cannot run programs of this architecture. Register the emulation (qemu-user-static, binfmt) on its host before it starts.',
  },
  {
    pattern: new RegExp(`failed to push (\\S+): (.*(?:${refusal}).*)`, 'i'),
    code: 'build.push_refused',
    fault: 'system',
    isPermanent: true,
    params: image,
    text: ([, name = '', said = '']) =>
      `The registry refused to take the image ${name} (${said}). Check the instance's login and that its registry trusts this Slipway.`,
  },
  {
    pattern: /failed to push (\S+): (.*)/,
    code: 'build.push_failed',
    ...passing,
    params: image,
    text: ([, name = '', said = '']) =>
      `The image could not be pushed to ${name} (${said}). Slipway tries again by itself.`,
  },
  {
    pattern: new RegExp(`${baseImage} no match for platform`),
    code: 'build.base_image_architecture_missing',
    ...user,
    params: image,
    text: ([, name = ''], where) =>
      `The base image ${name}${where} does not exist for this architecture. Take another base image, or the architecture out of the build rule.`,
  },
  {
    pattern: new RegExp(`${baseImage} .*not found`),
    code: 'build.base_image_missing',
    ...user,
    params: image,
    text: ([, name = ''], where) => `The base image ${name}${where} does not exist. Check its name and tag.`,
  },
  {
    pattern: new RegExp(`${baseImage} [^]*(?:${refusal})`, 'i'),
    code: 'build.base_image_refused',
    ...user,
    params: image,
    text: ([, name = ''], where) =>
      `The registry refuses to give the base image ${name}${where}. A build may read its own repository and public ones.`,
  },
  {
    pattern: new RegExp(`${baseImage} (.*)`),
    code: 'build.base_image_unreachable',
    ...passing,
    params: image,
    text: ([, name = '', said = ''], where) =>
      `The base image ${name}${where} could not be read (${said}). Slipway tries again by itself.`,
  },
  {
    pattern: /failed to calculate checksum of ref \S+ "([^"]*)": not found/,
    code: 'build.file_missing',
    ...user,
    params: ([, path = '']) => ({ path }),
    text: ([, path = ''], where) =>
      `"${path}"${where} is not in the build context. Paths are relative to the context directory; .dockerignore may leave files out.`,
  },
  {
    pattern: /target stage "([^"]*)" could not be found/,
    code: 'build.target_stage_missing',
    ...user,
    params: ([, stage = '']) => ({ stage }),
    text: ([, stage = '']) =>
      `The Dockerfile has no stage "${stage}", which the build rule names as the one to build. Name the stage with "AS ${stage}", or change the rule.`,
  },
  {
    pattern: /secret (\S+): not found/,
    code: 'build.secret_missing',
    ...user,
    params: ([, secret = '']) => ({ secret }),
    text: ([, secret = ''], where) =>
      `The build secret "${secret}"${where} is not among the secrets of the build rule. Add it there under this id.`,
  },
  {
    pattern: /invalid response status (4\d\d)/,
    code: 'build.download_failed',
    ...user,
    text: ([, status], where) => `A download${where} was answered with ${status}. Check the address.`,
  },
  {
    pattern:
      /failed to load cache key: (Get .*)|failed to copy: (.*)|failed to do request: (.*)|(.*(?:connection (?:refused|reset)|i\/o timeout|TLS handshake|unexpected EOF).*)/,
    code: 'build.network_error',
    ...passing,
    text: (match, where) =>
      `A download${where} failed (${match.slice(1).find((said) => said !== undefined) ?? ''}). Slipway tries again by itself.`,
  },
  {
    pattern: /dockerfile parse error on line (\d+): (.*)/,
    code: 'build.dockerfile_invalid',
    ...user,
    params: ([, line]) => ({ line: Number(line) }),
    text: ([, , said = ''], where) => `The Dockerfile does not hold${where}: ${said}. Correct it and push again.`,
  },
];

/**
 * What a failed build means to its user, from what buildctl said at the end: the excerpt of the Dockerfile that names file and
 * line, then `error: …`. An error nobody knows is the Dockerfile's if BuildKit points at a line of it, else ours.
 */
export function classifyBuildError(problem: string): BuildProblem {
  const text = problem
    .slice(Math.max(0, problem.lastIndexOf('\nerror: ') + 1))
    .replace(/^error: (failed to solve: )?/, '');
  const place = placeOf(problem);
  const where = place === undefined ? '' : ` at ${place.file}:${place.line}`;
  const at = place === undefined ? {} : { file: place.file, line: place.line };
  for (const { pattern, code, fault, isPermanent, text: sentence, params } of cases) {
    const match = pattern.exec(text);
    if (match === null) continue;
    const said = plainLine(sentence(match, where)).slice(0, 1_000);
    return { code, fault, isPermanent, params: { ...at, ...params?.(match) }, text: said };
  }
  const said = plainLine(text).slice(0, 500);
  if (place !== undefined || /dockerfile|not allowed|invalid argument/i.test(said)) {
    const sentence = `The Dockerfile does not hold${where}: ${said}. Correct it and push again.`;
    return { code: 'build.dockerfile_invalid', ...user, params: at, text: sentence };
  }
  return {
    code: 'build.failed',
    ...passing,
    params: {},
    text: `The build failed: ${said === '' ? 'buildctl said nothing' : said}.`,
  };
}

/** `Dockerfile:3` over a ruled excerpt of the file; the last one counts. */
function placeOf(problem: string): Place | undefined {
  const [, file, line] = [...problem.matchAll(/^([^\n]+):(\d+)\n-{5,}\n/gm)].at(-1) ?? [];
  return file === undefined || line === undefined ? undefined : { file: plainLine(file), line: Number(line) };
}
