import type { SourceHost } from '../../domain/source.ts';
import { generic } from './generic.ts';
import { github } from './github.ts';
import type { SourceHostAdapter } from './source-host.ts';

/** The adapter of every source host; a plain git server calls with the generic signed form. */
export const sourceHosts: Readonly<Record<SourceHost, SourceHostAdapter>> = {
  github,
  gitlab: generic,
  gitee: generic,
  bitbucket: generic,
  bitbucket_data_center: generic,
  gitea: generic,
  git: generic,
};
