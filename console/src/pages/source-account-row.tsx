import { Button } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { CredentialState } from '../../../domain/source.ts';
import { checkSourceAccount, deleteSourceAccount } from '../api-source.ts';
import type { SourceAccount } from '../api-source.ts';
import { accountName } from '../forms/source-account.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel } from '../ui/panels.tsx';
import { Question } from '../ui/question.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import type { Look } from '../ui/state.ts';
import { Ago } from '../ui/time.tsx';
import { wordProblem } from '../words.ts';

const checkLooks: Record<CredentialState, Look> = {
  accepted: { icon: 'success', tone: 'success', word: messages.source.check.accepted },
  refused: { icon: 'failed', tone: 'failed', word: messages.source.check.refused },
  unreachable: { icon: 'failed', tone: 'denied', word: messages.source.check.unreachable },
  untested: { icon: 'skipped', tone: 'quiet', word: messages.source.check.untested },
};

/** One account: whose host, how it logs in, who uses it, and what the host says to its credential when asked. */
export function SourceAccountRow({
  account,
  onChange,
  onDelete,
}: {
  account: SourceAccount;
  onChange: () => void;
  onDelete: () => void;
}): ReactNode {
  const words = messages.source.accounts;
  const { columns } = words;
  const name = accountName(account);
  const check = useMutation({ mutationFn: () => checkSourceAccount(account.id) });
  return (
    <tr>
      <td data-label={columns.name}>
        <strong className="break">{name}</strong>
        <p className="muted small">
          {messages.source.host[account.host]} · <bdi>{account.baseUrl}</bdi>
        </p>
      </td>
      <td data-label={columns.credential}>
        {account.credentialKind === null
          ? messages.source.noCredential
          : messages.source.credential[account.credentialKind]}
        {check.data !== undefined && (
          <div role="status">
            <StateBadge look={checkLooks[check.data.state]} />
            <p className="muted small">{check.data.detail}</p>
          </div>
        )}
        {check.isError && <ErrorPanel problem={wordProblem(check.error, messages.error.actionTitle)} />}
      </td>
      <td data-label={columns.repositories}>{words.repositories(account.repositories)}</td>
      <td data-label={columns.added}>
        <Ago at={account.createdAt} />
      </td>
      <td data-label={columns.acts}>
        <span className="row-actions">
          <Button
            variant="default"
            aria-label={words.checkOf(name)}
            loading={check.isPending}
            onClick={() => check.mutate()}
          >
            {words.check}
          </Button>
          <Button variant="default" aria-label={words.changeOf(name)} onClick={onChange}>
            {words.change}
          </Button>
          <Button variant="subtle" aria-label={words.removeOf(name)} onClick={onDelete}>
            {words.remove}
          </Button>
        </span>
      </td>
    </tr>
  );
}

/** Asks first; why it may not go is the API's to say. */
export function DeleteAccountDialog({
  account,
  onClose,
  onDeleted,
}: {
  account: SourceAccount;
  onClose: () => void;
  onDeleted: () => Promise<void>;
}): ReactNode {
  const words = messages.source.accounts;
  const remove = useMutation({ mutationFn: () => deleteSourceAccount(account.id), onSuccess: onDeleted });
  return (
    <Question
      title={words.removeTitle}
      keep={words.keep}
      confirm={words.removeConfirm}
      act={remove}
      isDanger
      onClose={onClose}
    >
      <p>
        <strong className="break">{accountName(account)}</strong>
      </p>
      <p>{words.removeBody}</p>
    </Question>
  );
}
