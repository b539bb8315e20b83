import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { ReactNode } from 'react';
import type { Reason } from '../../../domain/errors.ts';
import type { Repository } from '../api-build.ts';
import { fetchBinding } from '../api-source.ts';
import type { Hook, SourceBinding } from '../api-source.ts';
import { messages } from '../messages/index.ts';
import { EmptyPanel, ErrorPanel, Facts, LoadingPanel } from '../ui/panels.tsx';
import { Ago } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';
import { BindDialog, RotateDialog, UnbindDialog } from './source-binding-dialogs.tsx';
import { HookByHand } from './source-hook.tsx';

type Dialog = 'bind' | 'unbind' | 'rotate';

/** What code a repository is built from, how pushes are told, and what does not work of it (docs/product.md, section 5). */
export function SourceBindingPanel({ repository }: { repository: Repository }): ReactNode {
  const words = messages.source.binding;
  const [dialog, setDialog] = useState<Dialog | null>(null);
  // A secret comes once, in the answer that made it, and is kept only as long as this page.
  const [newHook, setNewHook] = useState<Hook | null>(null);
  const queries = useQueryClient();
  const isBound = repository.codeSource !== null;
  const binding = useQuery({
    queryKey: ['binding', repository.id],
    queryFn: ({ signal }) => fetchBinding(repository.id, signal),
    enabled: isBound,
  });
  const changed = async (hook: Hook | null): Promise<void> => {
    setDialog(null);
    setNewHook(hook?.secret === null ? null : hook);
    await queries.invalidateQueries({ queryKey: ['repository', repository.id] });
    if (hook === null) queries.removeQueries({ queryKey: ['binding', repository.id] });
    else await queries.invalidateQueries({ queryKey: ['binding', repository.id] });
  };
  return (
    <>
      {isBound ? (
        <section className="panel" aria-labelledby="source-binding">
          <div className="panel-head">
            <h2 id="source-binding">{words.title}</h2>
            <Acts onOpen={setDialog} />
          </div>
          {binding.isPending && <LoadingPanel rows={4} label={words.title} />}
          {binding.isError && (
            <ErrorPanel problem={wordProblem(binding.error)} onRetry={() => void binding.refetch()} />
          )}
          {binding.data !== undefined && (
            <>
              <Issues binding={binding.data} />
              <BindingFacts repository={repository} binding={binding.data} />
              <HookByHand
                hook={newHook ?? binding.data.hook}
                isNew={newHook !== null}
                onCopied={() => setNewHook(null)}
              />
            </>
          )}
        </section>
      ) : (
        <EmptyPanel title={messages.repository.localTitle}>
          <p>{messages.repository.localHint}</p>
          <Button onClick={() => setDialog('bind')}>{words.bind}</Button>
        </EmptyPanel>
      )}
      {dialog === 'bind' && (
        <BindDialog
          repository={repository}
          binding={isBound ? (binding.data ?? null) : null}
          onClose={() => setDialog(null)}
          onBound={changed}
        />
      )}
      {dialog === 'unbind' && (
        <UnbindDialog repository={repository.id} onClose={() => setDialog(null)} onUnbound={() => changed(null)} />
      )}
      {dialog === 'rotate' && (
        <RotateDialog repository={repository.id} onClose={() => setDialog(null)} onRotated={changed} />
      )}
    </>
  );
}

function Acts({ onOpen }: { onOpen: (dialog: Dialog) => void }): ReactNode {
  const words = messages.source.binding;
  return (
    <span className="row-actions">
      <Button variant="default" onClick={() => onOpen('rotate')}>
        {words.rotate}
      </Button>
      <Button variant="default" onClick={() => onOpen('bind')}>
        {words.rebind}
      </Button>
      <Button variant="subtle" onClick={() => onOpen('unbind')}>
        {words.unbind}
      </Button>
    </span>
  );
}

/** What does not work, worst first. */
function Issues({ binding: { issue, hook, commitStatus } }: { binding: SourceBinding }): ReactNode {
  const said = [hook.issue, commitStatus.issue].filter((each): each is Reason => each !== null);
  return (
    <>
      {issue !== null && (
        <p className="record-reason tone-failed">
          {messages.source.binding.sourceIssue} {wordReason(issue)}
        </p>
      )}
      {said.map((each) => (
        <p key={each.code} className="record-reason tone-denied">
          {wordReason(each)}
        </p>
      ))}
    </>
  );
}

function BindingFacts({ repository, binding }: { repository: Repository; binding: SourceBinding }): ReactNode {
  const words = messages.source.binding;
  const { hook, lastEvent, reconciledAt, commitStatus } = binding;
  return (
    <Facts
      items={[
        [
          words.code,
          <bdi key="code" className="mono break">
            {binding.cloneUrl}
          </bdi>,
        ],
        [
          words.account,
          <Link key="account" to="/source-accounts" search={{ instance: repository.instance }}>
            {binding.sourceAccount}
          </Link>,
        ],
        [words.hook, hook.installed ? words.hookInstalled : words.hookByHand],
        [
          words.lastEvent,
          lastEvent === null ? (
            words.noEvent
          ) : (
            <Link key="event" to="/repositories/$repositoryId/source-events" params={{ repositoryId: repository.id }}>
              {lastEvent.event}, <Ago at={lastEvent.receivedAt} />
            </Link>
          ),
        ],
        [
          words.compared,
          <span key="compared" title={words.comparedHint}>
            {reconciledAt === null ? words.notCompared : <Ago at={reconciledAt} />}
          </span>,
        ],
        [words.status, commitStatus.enabled ? words.statusShown : words.statusOff],
      ]}
    />
  );
}
