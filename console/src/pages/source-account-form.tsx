import { Button, Modal, NativeSelect, PasswordInput, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import type { SourceHost } from '../../../domain/source.ts';
import { beginAuthorization, saveSourceAccount } from '../api-source.ts';
import type { SourceAccount, SourceAuthorization } from '../api-source.ts';
import {
  accountName,
  definitionOfAccount,
  draftOfAccount,
  hostForms,
  newSourceAccount,
  wayKey,
  waysOf,
} from '../forms/source-account.ts';
import type { CredentialWay, SourceAccountDraft } from '../forms/source-account.ts';
import { messages } from '../messages/index.ts';
import { LinesField } from '../ui/fields.tsx';
import { fieldProblem, FormProblem } from './form-problem.tsx';

interface FormProps {
  readonly instance: string;
  /** The account to change; null adds one. */
  readonly account: SourceAccount | null;
  /** Hosts that can be connected in the browser. */
  readonly authorizations: readonly SourceAuthorization[];
  readonly onClose: () => void;
  readonly onSaved: () => Promise<void>;
}

const placed = ['/baseUrl', '/name', '/credential', '/caCertificate'];

/** Adds or changes a source account; where an application is registered, the host's own page asks for the consent instead. */
export function SourceAccountForm({ instance, account, authorizations, onClose, onSaved }: FormProps): ReactNode {
  const words = messages.source.form;
  const [draft, setDraft] = useState<SourceAccountDraft>(
    account === null ? newSourceAccount('github', authorizations) : draftOfAccount(account),
  );
  const change = (part: Partial<SourceAccountDraft>): void => setDraft({ ...draft, ...part });
  const save = useMutation({
    mutationFn: () => saveSourceAccount(instance, definitionOfAccount(draft), account),
    onSuccess: onSaved,
  });
  const connect = useMutation({
    mutationFn: (authorization: SourceAuthorization) => {
      const caCertificate = draft.caCertificate.trim() || null;
      const of = account === null ? {} : { sourceAccount: account.id };
      return beginAuthorization(instance, { ...authorization, ...of, caCertificate });
    },
    onSuccess: ({ url }) => location.assign(url),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    if (draft.way.kind === 'browser') connect.mutate(draft.way.authorization);
    else save.mutate();
  };
  const error = draft.way.kind === 'browser' ? connect.error : save.error;
  return (
    <Modal
      opened
      closeButtonProps={{ 'aria-label': messages.shell.close }}
      onClose={onClose}
      title={account === null ? words.add : words.change(accountName(account))}
      size="lg"
      centered
    >
      <form className="dialog-form" onSubmit={submit}>
        {account === null && (
          <HostChoice host={draft.host} onChange={(host) => setDraft(newSourceAccount(host, authorizations))} />
        )}
        <WayChoice
          ways={waysOf({ host: draft.host, account, authorizations })}
          draft={draft}
          account={account}
          onChange={change}
        />
        {draft.way.kind === 'browser' ? (
          <p className="muted small">{account === null ? words.nameLater : words.neverShown}</p>
        ) : (
          <>
            <PlaceFields draft={draft} error={error} onChange={change} />
            <CredentialFields draft={draft} error={error} onChange={change} />
          </>
        )}
        <LinesField
          label={words.caCertificate}
          hint={words.caHint}
          error={fieldProblem(error, '/caCertificate')}
          value={draft.caCertificate}
          onChange={(caCertificate) => change({ caCertificate })}
        />
        <FormProblem error={error} placed={placed} />
        <div className="dialog-actions">
          <Button variant="default" onClick={onClose}>
            {words.cancel}
          </Button>
          <Button type="submit" loading={save.isPending || connect.isPending || connect.isSuccess}>
            {draft.way.kind === 'browser' ? words.connect(new URL(draft.way.authorization.baseUrl).host) : words.save}
          </Button>
        </div>
      </form>
    </Modal>
  );
}

const isHost = (name: string): name is SourceHost => Object.hasOwn(hostForms, name);
const hostChoices = Object.keys(hostForms)
  .filter(isHost)
  .map((value) => ({ value, label: messages.source.host[value] }));

function HostChoice({ host, onChange }: { host: SourceHost; onChange: (host: SourceHost) => void }): ReactNode {
  return (
    <NativeSelect
      label={messages.source.form.host}
      data={hostChoices}
      value={host}
      data-autofocus
      onChange={({ target }) => isHost(target.value) && onChange(target.value)}
    />
  );
}

interface FieldsProps {
  readonly draft: SourceAccountDraft;
  readonly error: Error | null;
  readonly onChange: (part: Partial<SourceAccountDraft>) => void;
}

function WayChoice({
  draft,
  account,
  ways,
  onChange,
}: Omit<FieldsProps, 'error'> & { account: SourceAccount | null; ways: readonly CredentialWay[] }): ReactNode {
  const words = messages.source.form;
  const kind = account?.credentialKind ?? null;
  const label = (way: CredentialWay): string => {
    if (way.kind === 'browser') return words.ways[way.authorization.flow](way.authorization.baseUrl);
    return way.kind === 'keep'
      ? words.ways.keep(kind === null ? '' : messages.source.credential[kind])
      : words.ways[way.kind];
  };
  return (
    <NativeSelect
      label={words.credential}
      data={ways.map((way) => ({ value: wayKey(way), label: label(way) }))}
      value={wayKey(draft.way)}
      onChange={({ target }) => onChange({ way: ways.find((way) => wayKey(way) === target.value) ?? draft.way })}
    />
  );
}

function PlaceFields({ draft, error, onChange }: FieldsProps): ReactNode {
  const words = messages.source.form;
  const { publicUrl } = hostForms[draft.host];
  return (
    <>
      <TextInput
        type="url"
        label={words.baseUrl}
        placeholder={publicUrl ?? 'https://git.example.com'}
        description={publicUrl === null ? undefined : words.publicAddress(publicUrl)}
        required={publicUrl === null}
        value={draft.baseUrl}
        error={fieldProblem(error, '/baseUrl')}
        onChange={({ target }) => onChange({ baseUrl: target.value })}
      />
      <TextInput
        label={words.name}
        description={words.nameHint}
        maxLength={64}
        value={draft.name}
        error={fieldProblem(error, '/name')}
        onChange={({ target }) => onChange({ name: target.value })}
      />
    </>
  );
}

/** What is typed here is sent once and never comes back. */
function CredentialFields({ draft, error, onChange }: FieldsProps): ReactNode {
  const words = messages.source.form;
  const problem = fieldProblem(error, '/credential');
  const { kind } = draft.way;
  if (kind !== 'token' && kind !== 'login')
    return problem === undefined ? null : (
      <p className="field-errors" role="alert">
        {problem}
      </p>
    );
  const secret = kind === 'token' ? draft.token : draft.password;
  return (
    <>
      {kind === 'login' && (
        <TextInput
          label={words.username}
          required
          autoComplete="off"
          value={draft.username}
          onChange={({ target }) => onChange({ username: target.value })}
        />
      )}
      <PasswordInput
        size="xs"
        label={kind === 'token' ? words.token : words.password}
        description={`${words.rights[draft.host]} ${words.neverShown}`}
        required
        autoComplete="new-password"
        value={secret}
        error={problem}
        onChange={({ target }) => onChange(kind === 'token' ? { token: target.value } : { password: target.value })}
      />
    </>
  );
}
