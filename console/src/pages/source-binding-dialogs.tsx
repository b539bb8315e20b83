import { Button, Modal, NativeSelect, TextInput } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import type { Repository } from '../api-build.ts';
import { deleteBinding, listSourceAccounts, rotateHookSecret, saveBinding } from '../api-source.ts';
import type { CodePlace, Hook, SourceAccount, SourceBinding } from '../api-source.ts';
import { accountName } from '../forms/source-account.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { Question } from '../ui/question.tsx';
import { wordProblem } from '../words.ts';
import { fieldProblem, FormProblem } from './form-problem.tsx';

interface BindProps {
  readonly repository: Repository;
  /** What it is bound to now; null while it is local. */
  readonly binding: SourceBinding | null;
  readonly onClose: () => void;
  readonly onBound: (hook: Hook) => Promise<void>;
}

/** Ties a repository to code, through one of the instance's source accounts. */
export function BindDialog({ repository, binding, onClose, onBound }: BindProps): ReactNode {
  const words = messages.source.bindForm;
  const accounts = useQuery({
    queryKey: ['source-accounts', repository.instance, undefined],
    queryFn: ({ signal }) => listSourceAccounts(repository.instance, undefined, signal),
  });
  const items = accounts.data?.items ?? [];
  return (
    <Modal
      opened
      closeButtonProps={{ 'aria-label': messages.shell.close }}
      onClose={onClose}
      title={words.title}
      centered
    >
      {accounts.isPending && <LoadingPanel rows={3} label={words.account} />}
      {accounts.isError && <ErrorPanel problem={wordProblem(accounts.error)} onRetry={() => void accounts.refetch()} />}
      {accounts.data !== undefined && items.length === 0 && (
        <p>
          {words.noAccounts}{' '}
          <Link to="/source-accounts" search={{ instance: repository.instance }}>
            {words.toAccounts}
          </Link>
        </p>
      )}
      {items.length > 0 && (
        <BindForm accounts={items} repository={repository} binding={binding} onClose={onClose} onBound={onBound} />
      )}
    </Modal>
  );
}

const placed = ['/sourceAccount', '/codeNamespace', '/codeRepository'];

function BindForm({
  accounts,
  repository,
  binding,
  onClose,
  onBound,
}: BindProps & { accounts: readonly SourceAccount[] }): ReactNode {
  const words = messages.source.bindForm;
  const [place, setPlace] = useState<CodePlace>({
    sourceAccount: binding?.sourceAccount ?? accounts[0]?.id ?? '',
    codeNamespace: binding?.codeNamespace ?? '',
    codeRepository: binding?.codeRepository ?? '',
  });
  const save = useMutation({
    mutationFn: () => saveBinding(repository.id, place),
    onSuccess: ({ hook }) => onBound(hook),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  return (
    <form className="dialog-form" onSubmit={submit}>
      <p className="muted">{words.hint}</p>
      <NativeSelect
        label={words.account}
        data={accounts.map((account) => ({
          value: account.id,
          label: `${accountName(account)} (${messages.source.host[account.host]})`,
        }))}
        value={place.sourceAccount}
        error={fieldProblem(save.error, '/sourceAccount')}
        onChange={({ target }) => setPlace({ ...place, sourceAccount: target.value })}
        data-autofocus
      />
      <TextInput
        label={words.namespace}
        description={words.namespaceHint}
        required
        spellCheck={false}
        value={place.codeNamespace}
        error={fieldProblem(save.error, '/codeNamespace')}
        onChange={({ target }) => setPlace({ ...place, codeNamespace: target.value.trim() })}
      />
      <TextInput
        label={words.repository}
        required
        spellCheck={false}
        value={place.codeRepository}
        error={fieldProblem(save.error, '/codeRepository')}
        onChange={({ target }) => setPlace({ ...place, codeRepository: target.value.trim() })}
      />
      <FormProblem error={save.error} placed={placed} />
      <p className="muted small" role="status">
        {save.isPending ? words.saving : ''}
      </p>
      <div className="dialog-actions">
        <Button variant="default" onClick={onClose}>
          {words.cancel}
        </Button>
        <Button type="submit" loading={save.isPending}>
          {words.save}
        </Button>
      </div>
    </form>
  );
}

export function RotateDialog({
  repository,
  onClose,
  onRotated,
}: {
  repository: string;
  onClose: () => void;
  onRotated: (hook: Hook) => Promise<void>;
}): ReactNode {
  const words = messages.source.binding;
  const rotate = useMutation({ mutationFn: () => rotateHookSecret(repository), onSuccess: onRotated });
  return (
    <Question title={words.rotateTitle} keep={words.keep} confirm={words.rotateConfirm} act={rotate} onClose={onClose}>
      <p>{words.rotateBody}</p>
    </Question>
  );
}

export function UnbindDialog({
  repository,
  onClose,
  onUnbound,
}: {
  repository: string;
  onClose: () => void;
  onUnbound: () => Promise<void>;
}): ReactNode {
  const words = messages.source.binding;
  const unbind = useMutation({ mutationFn: () => deleteBinding(repository), onSuccess: onUnbound });
  return (
    <Question
      title={words.unbindTitle}
      keep={words.keep}
      confirm={words.unbindConfirm}
      act={unbind}
      isDanger
      onClose={onClose}
    >
      <p>{words.unbindBody}</p>
    </Question>
  );
}
