import { Button } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { cancelRun, rebuild } from '../api.ts';
import type { Run } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel } from '../ui/panels.tsx';
import { Question } from '../ui/question.tsx';
import { wordProblem } from '../words.ts';

/** What a reader can do with a run: cancel it while it goes on, build its commit again once it has ended. */
export function RecordActions({ run }: { run: Run }): ReactNode {
  if (run.endedAt === null) return <CancelButton run={run} />;
  return run.build === null ? null : <RebuildButtons run={run} build={run.build} />;
}

function RebuildButtons({ run, build }: { run: Run; build: string }): ReactNode {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const start = useMutation({
    mutationFn: (architectures: 'all' | 'failed') => rebuild(build, architectures),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: ['runs'] });
      if (made.run === null)
        await navigate({ to: '/repositories/$repositoryId/build', params: { repositoryId: run.repository.id } });
      else await navigate({ to: '/records/$runId', params: { runId: made.run } });
    },
  });
  const children = run.steps.find(({ name }) => name === 'build')?.children ?? [];
  const isPartlyBuilt =
    children.some(({ state }) => state === 'failed') && children.some(({ state }) => state === 'success');
  return (
    <span className="record-actions">
      {isPartlyBuilt && (
        <Button loading={start.isPending} onClick={() => start.mutate('failed')}>
          {messages.record.rebuildFailed}
        </Button>
      )}
      <Button variant="default" loading={start.isPending} onClick={() => start.mutate('all')}>
        {messages.record.rebuild}
      </Button>
      {start.isError && <ErrorPanel problem={wordProblem(start.error, messages.error.actionTitle)} />}
    </span>
  );
}

function CancelButton({ run }: { run: Run }): ReactNode {
  const [isAsking, setAsking] = useState(false);
  const queries = useQueryClient();
  const cancel = useMutation({
    mutationFn: () => cancelRun(run.id),
    onSuccess: () => {
      setAsking(false);
      return queries.invalidateQueries({ queryKey: ['run', run.id] });
    },
  });
  if (run.endedAt !== null) return null;
  if (run.status === 'canceling') {
    const { cancelRequestedBy: actor } = run;
    return (
      <span className="muted">{actor === null ? messages.record.canceling : messages.record.cancelingBy(actor)}</span>
    );
  }
  return (
    <>
      <Button variant="default" onClick={() => setAsking(true)}>
        {messages.record.cancel}
      </Button>
      {isAsking && (
        <Question
          title={messages.record.cancelTitle}
          keep={messages.record.cancelKeep}
          confirm={messages.record.cancelConfirm}
          act={cancel}
          isDanger
          onClose={() => setAsking(false)}
        >
          <p>{messages.record.cancelBody}</p>
        </Question>
      )}
    </>
  );
}
