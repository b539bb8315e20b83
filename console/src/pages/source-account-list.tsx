import '../theme/record.css';
import '../theme/repository.css';
import { Button, NativeSelect } from '@mantine/core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import type { ReactNode } from 'react';
import { listAuthorizations, listInstances, listSourceAccounts } from '../api-source.ts';
import type { SourceAccount } from '../api-source.ts';
import type { Instance } from '../api-types.ts';
import { accountName } from '../forms/source-account.ts';
import { messages } from '../messages/index.ts';
import { EmptyPanel, ErrorPanel, LoadingPanel, PageTitle } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { SourceAccountForm } from './source-account-form.tsx';
import { DeleteAccountDialog, SourceAccountRow } from './source-account-row.tsx';

const route = getRouteApi('/shell/source-accounts');

/** The source accounts of an instance (docs/product.md, section 5); a host leads back here when it was asked for its consent. */
export function SourceAccountListPage(): ReactNode {
  const search = route.useSearch();
  const words = messages.source.accounts;
  const instances = useQuery({ queryKey: ['instances'], queryFn: ({ signal }) => listInstances(signal) });
  const items = instances.data?.items ?? [];
  const instance = items.find(({ name }) => name === search.instance) ?? items[0];
  return (
    <div className="page">
      <div className="panel-head">
        <PageTitle title={words.title} />
        {items.length > 1 && instance !== undefined && <InstanceChoice instances={items} chosen={instance.name} />}
      </div>
      <p className="muted">{words.hint}</p>
      {search.refused !== undefined && (
        <ErrorPanel
          problem={{
            title: messages.source.refusedTitle,
            detail: messages.source.refused[search.refused],
            requestId: null,
          }}
        />
      )}
      {instances.isPending && <LoadingPanel rows={4} label={words.title} />}
      {instances.isError && (
        <ErrorPanel problem={wordProblem(instances.error)} onRetry={() => void instances.refetch()} />
      )}
      {instance !== undefined && <Accounts key={instance.name} instance={instance.name} />}
    </div>
  );
}

function InstanceChoice({ instances, chosen }: { instances: readonly Instance[]; chosen: string }): ReactNode {
  const navigate = useNavigate();
  return (
    <NativeSelect
      aria-label={messages.source.accounts.instance}
      data={instances.map(({ name }) => name)}
      value={chosen}
      onChange={({ target }) => void navigate({ to: '/source-accounts', search: { instance: target.value } })}
    />
  );
}

type Dialog = { readonly kind: 'form' | 'remove'; readonly account: SourceAccount } | { readonly kind: 'add' };

function Accounts({ instance }: { instance: string }): ReactNode {
  const { cursor, sourceAccount } = route.useSearch();
  const words = messages.source.accounts;
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const queries = useQueryClient();
  const accounts = useQuery({
    queryKey: ['source-accounts', instance, cursor],
    queryFn: ({ signal }) => listSourceAccounts(instance, cursor, signal),
  });
  const authorizations = useQuery({
    queryKey: ['source-authorizations', instance],
    queryFn: ({ signal }) => listAuthorizations(instance, signal),
    staleTime: 300_000,
  });
  const close = (): void => setDialog(null);
  const changed = async (): Promise<void> => {
    close();
    await queries.invalidateQueries({ queryKey: ['source-accounts', instance] });
  };
  const items = accounts.data?.items ?? [];
  const connected = items.find(({ id }) => id === sourceAccount);
  const add = (
    <Button onClick={() => setDialog({ kind: 'add' })} disabled={authorizations.isPending}>
      {words.add}
    </Button>
  );
  return (
    <>
      {sourceAccount !== undefined && accounts.data !== undefined && (
        <p className="note-success" role="status">
          {connected === undefined
            ? messages.source.connectedUnseen
            : messages.source.connected(accountName(connected))}
        </p>
      )}
      {accounts.isPending && <LoadingPanel rows={4} label={words.title} />}
      {accounts.isError && <ErrorPanel problem={wordProblem(accounts.error)} onRetry={() => void accounts.refetch()} />}
      {accounts.data !== undefined && items.length === 0 && (
        <EmptyPanel title={words.emptyTitle}>
          <p>{words.empty}</p>
          {add}
        </EmptyPanel>
      )}
      {items.length > 0 && (
        <section className="panel" aria-labelledby="source-accounts">
          <div className="panel-head">
            <h2 id="source-accounts">{words.of(instance)}</h2>
            {add}
          </div>
          <AccountTable accounts={items} onOpen={setDialog} />
        </section>
      )}
      {typeof accounts.data?.nextCursor === 'string' && (
        <nav className="pager" aria-label={words.title}>
          <Link to="/source-accounts" search={{ instance, cursor: accounts.data.nextCursor }}>
            {words.more}
          </Link>
        </nav>
      )}
      {(dialog?.kind === 'add' || dialog?.kind === 'form') && (
        <SourceAccountForm
          instance={instance}
          account={dialog.kind === 'form' ? dialog.account : null}
          authorizations={authorizations.data?.items ?? []}
          onClose={close}
          onSaved={changed}
        />
      )}
      {dialog?.kind === 'remove' && (
        <DeleteAccountDialog account={dialog.account} onClose={close} onDeleted={changed} />
      )}
    </>
  );
}

function AccountTable({
  accounts,
  onOpen,
}: {
  accounts: readonly SourceAccount[];
  onOpen: (dialog: Dialog) => void;
}): ReactNode {
  const { columns } = messages.source.accounts;
  return (
    <table className="plain-table">
      <thead>
        <tr>
          {Object.values(columns).map((column) => (
            <th key={column} scope="col">
              {column}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {accounts.map((account) => (
          <SourceAccountRow
            key={account.id}
            account={account}
            onChange={() => onOpen({ kind: 'form', account })}
            onDelete={() => onOpen({ kind: 'remove', account })}
          />
        ))}
      </tbody>
    </table>
  );
}
