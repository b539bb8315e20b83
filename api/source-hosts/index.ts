import type { SourceHost } from '../../domain/source.ts';
import { bitbucketDataCenter } from './bitbucket-data-center.ts';
import { bitbucket } from './bitbucket.ts';
import { generic } from './generic.ts';
import { gitea } from './gitea.ts';
import { gitee } from './gitee.ts';
import { github } from './github.ts';
import { gitlab } from './gitlab.ts';
import type { SourceHostAdapter } from './source-host.ts';

/** The adapter of every source host; a plain git server calls with the generic signed form. */
export const sourceHosts: Readonly<Record<SourceHost, SourceHostAdapter>> = {
  github,
  gitlab,
  gitee,
  bitbucket,
  bitbucket_data_center: bitbucketDataCenter,
  gitea,
  git: generic,
};
