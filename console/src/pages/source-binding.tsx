import { Button } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { ReactNode } from 'react';
import type { Reason } from '../../../domain/errors.ts';
import type { Repository } from '../api-build.ts';
import { fetchBinding, fetchSourceAccount } from '../api-source.ts';
import type { Hook, SourceBinding } from '../api-source.ts';
import { accountName } from '../forms/source-account.ts';
import { messages } from '../messages/index.ts';
import { EmptyPanel, ErrorPanel, Facts, LoadingPanel } from '../ui/panels.tsx';
import { Ago } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';
import { BindDialog, RotateDialog, UnbindDialog } from './source-binding-dialogs.tsx';
import { HookByHand } from './source-hook.tsx';
import type { MadeHook } from './source-hook.tsx';

type Dialog = 'bind' | 'unbind' | 'rotate';

/** What code a repository is built from, how pushes are told, and what does not work of it (docs/product.md, section 5). */
export function SourceBindingPanel({ repository }: { repository: Repository }): ReactNode {
  const words = messages.source.binding;
  const [dialog, setDialog] = useState<Dialog | null>(null);
  // A secret comes once, in the answer that made it, and is kept only as long as this page.
  const [made, setMade] = useState<MadeHook | null>(null);
  const queries = useQueryClient();
  const isBound = repository.codeSource !== null;
  const binding = useQuery({
    queryKey: ['binding', repository.id],
    queryFn: ({ signal }) => fetchBinding(repository.id, signal),
    enabled: isBound,
  });
  const changed = async (hook: Hook | null, by: MadeHook['by'] = 'bind'): Promise<void> => {
    setDialog(null);
    setMade(hook === null || hook.secret === null ? null : { hook, by });
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
              <HookByHand hook={binding.data.hook} made={made} onCopied={() => setMade(null)} />
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
          onBound={(hook) => changed(hook)}
        />
      )}
      {dialog === 'unbind' && (
        <UnbindDialog repository={repository.id} onClose={() => setDialog(null)} onUnbound={() => changed(null)} />
      )}
      {dialog === 'rotate' && (
        <RotateDialog
          repository={repository.id}
          onClose={() => setDialog(null)}
          onRotated={(hook) => changed(hook, 'rotate')}
        />
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
function Issues({ binding }: { binding: SourceBinding }): ReactNode {
  const { issue, hook, commitStatus } = binding;
  const said = [isDelivering(binding) ? null : hook.issue, commitStatus.issue].filter(
    (each): each is Reason => each !== null,
  );
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
  const { lastEvent, reconciledAt, commitStatus } = binding;
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
            <AccountName id={binding.sourceAccount} />
          </Link>,
        ],
        [words.hook, wordHook(binding)],
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

/** A webhook somebody added by hand is known by what it delivers. */
function isDelivering({ lastEvent }: SourceBinding): boolean {
  return lastEvent !== null && lastEvent.event !== 'catch_up';
}

function wordHook(binding: SourceBinding): string {
  const words = messages.source.binding;
  if (binding.hook.installed) return words.hookInstalled;
  return isDelivering(binding) ? words.hookAdded : words.hookByHand;
}

/** The account's name once it is known. */
function AccountName({ id }: { id: string }): ReactNode {
  const account = useQuery({
    queryKey: ['source-account', id],
    queryFn: ({ signal }) => fetchSourceAccount(id, signal),
    staleTime: 60_000,
  });
  return account.data === undefined ? id : `${accountName(account.data)} (${messages.source.host[account.data.host]})`;
}
