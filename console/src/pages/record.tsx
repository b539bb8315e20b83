import '../theme/record.css';
import '../theme/step.css';
import '../theme/log.css';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import type { StepName } from '../../../domain/record.ts';
import { fetchRun } from '../api.ts';
import type { Run, RunRecord } from '../api-types.ts';
import { usePollMs } from '../live-context.tsx';
import { messages } from '../messages/index.ts';
import { stepInFocus } from '../step-summary.ts';
import { ErrorPanel, LoadingPanel, PageTitle } from '../ui/panels.tsx';
import { runLook } from '../ui/state.ts';
import { wordProblem, wordReason } from '../words.ts';
import { RecordDetails } from './record-details.tsx';
import { RecordHeader } from './record-header.tsx';
import { RecordSteps } from './record-steps.tsx';

const route = getRouteApi('/shell/records/$runId');

/** One run, whole (docs/product.md, section 12). */
export function RecordPage(): ReactNode {
  const { runId } = route.useParams();
  const pollMs = usePollMs();
  const run = useQuery({
    queryKey: ['run', runId],
    queryFn: ({ signal }) => fetchRun(runId, signal),
    refetchInterval: ({ state }) => (typeof state.data?.endedAt === 'string' ? false : pollMs),
  });
  if (run.data !== undefined) return <Record key={runId} run={run.data} />;
  return (
    <div className="page">
      <PageTitle title={messages.record.title} />
      {run.isError ? (
        <ErrorPanel problem={wordProblem(run.error)} onRetry={() => void run.refetch()} />
      ) : (
        <LoadingPanel rows={8} label={messages.record.title} />
      )}
    </div>
  );
}

function Record({ run }: { run: RunRecord }): ReactNode {
  const { step: chosen } = route.useSearch();
  const navigate = route.useNavigate();
  const initial = useInitialStep(run);
  const open = chosen === 'none' ? undefined : (chosen ?? initial);
  const toggle = (name: StepName): void => {
    void navigate({ search: { step: open === name ? 'none' : name }, replace: true, resetScroll: false });
  };
  return (
    <div className="page record">
      <RecordHeader run={run} />
      <Announcer run={run} />
      <div className="record-columns">
        <RecordSteps run={run} open={open} onToggle={toggle} />
        <RecordDetails run={run} />
      </div>
    </div>
  );
}

/** Chosen once, when there is something to choose: a run that goes on must not open and close steps under the reader's eyes. */
function useInitialStep(run: Run): StepName | undefined {
  const [initial, setInitial] = useState(() => (/^#L\d/.test(location.hash) ? 'build' : stepInFocus(run.steps)));
  const focus = initial ?? stepInFocus(run.steps);
  useEffect(() => {
    if (initial === undefined && focus !== undefined) setInitial(focus);
  }, [initial, focus]);
  return focus;
}

/** Tells those who listen when the run's state changes. */
function Announcer({ run }: { run: Run }): ReactNode {
  const running = run.steps.find(({ state }) => state === 'running');
  const state = running === undefined ? runLook(run).word : `${messages.step[running.name]}: ${messages.state.running}`;
  return (
    <p className="visually-hidden" aria-live="polite">
      {messages.record.announce(state, wordReason(run.reason))}
    </p>
  );
}
