import type { ReactNode } from 'react';
import type { BuildStep, Run } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { paths } from '../path-builder.ts';
import { BuildLog } from './build-log.tsx';

/** What the build printed, live. */
export function BuildPanel({ run, step }: { run: Run; step: BuildStep }): ReactNode {
  const build = step.result?.build ?? run.build;
  if (build === null) return <p className="muted">{messages.build.noBuild}</p>;
  return (
    <BuildLog
      key={build}
      build={build}
      platforms={step.children.map(({ key }) => key)}
      address={paths.record(run.id, { step: 'build' })}
    />
  );
}
