import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { lazy, Suspense, useState } from 'react';
import type { ReactNode } from 'react';
import { deleteBuildRule, listBuildRules, startBuild } from '../api-build.ts';
import type { AutomaticStart, BuildRule, Repository } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { BranchIcon, TagIcon } from '../ui/icons.tsx';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { Question } from '../ui/question.tsx';
import { Ago } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';

const BuildRuleWizard = lazy(() =>
  import('./build-rule-wizard.tsx').then((module) => ({ default: module.BuildRuleWizard })),
);

const BuildRefDialog = lazy(() => import('./build-ref.tsx').then((module) => ({ default: module.BuildRefDialog })));

/** What of a rule is open in a dialog. */
type Dialog =
  | { readonly kind: 'wizard'; readonly rule: BuildRule | null }
  | { readonly kind: 'remove'; readonly rule: BuildRule }
  | { readonly kind: 'ref'; readonly rule: BuildRule };

/** The rules of a repository: made and changed by the wizard, built by hand (docs/product.md, B-11, B-12). */
export function BuildRules({ repository }: { repository: Repository }): ReactNode {
  const words = messages.repository.rules;
  const [dialog, setDialog] = useState<Dialog | null>(null);
  const queries = useQueryClient();
  const rules = useQuery({
    queryKey: ['build-rules', repository.id],
    queryFn: ({ signal }) => listBuildRules(repository.id, signal),
  });
  const close = (): void => setDialog(null);
  const changed = async (): Promise<void> => {
    close();
    await queries.invalidateQueries({ queryKey: ['build-rules', repository.id] });
    await queries.invalidateQueries({ queryKey: ['builds', repository.id] });
  };
  const items = rules.data?.items ?? [];
  return (
    <section className="panel" aria-labelledby="build-rules">
      <div className="panel-head">
        <h2 id="build-rules">{words.title}</h2>
        <Button onClick={() => setDialog({ kind: 'wizard', rule: null })}>{words.add}</Button>
      </div>
      {rules.isError && <ErrorPanel problem={wordProblem(rules.error)} onRetry={() => void rules.refetch()} />}
      {rules.data !== undefined && items.length === 0 && <p className="muted">{words.empty}</p>}
      {items.length > 0 && (
        <table className="plain-table">
          <thead>
            <tr>
              <th scope="col">{words.columns.ref}</th>
              <th scope="col">{words.columns.dockerfile}</th>
              <th scope="col">{words.columns.tags}</th>
              <th scope="col">{words.columns.platforms}</th>
              <th scope="col">{words.columns.acts}</th>
            </tr>
          </thead>
          <tbody>
            {items.map((rule) => (
              <RuleRow key={rule.id} rule={rule} onOpen={setDialog} onBuilt={changed} />
            ))}
          </tbody>
        </table>
      )}
      {dialog?.kind === 'wizard' && (
        <Suspense fallback={<LoadingPanel rows={2} label={words.add} />}>
          <BuildRuleWizard repository={repository.id} rule={dialog.rule} onClose={close} onSaved={changed} />
        </Suspense>
      )}
      {dialog?.kind === 'remove' && <RemoveDialog rule={dialog.rule} onClose={close} onRemoved={changed} />}
      {dialog?.kind === 'ref' && (
        <Suspense fallback={<LoadingPanel rows={2} label={words.buildRefTitle} />}>
          <BuildRefDialog repository={repository.id} rule={dialog.rule} onClose={close} onStarted={changed} />
        </Suspense>
      )}
    </section>
  );
}

interface RuleRowProps {
  readonly rule: BuildRule;
  readonly onOpen: (dialog: Dialog) => void;
  readonly onBuilt: () => Promise<void>;
}

function RuleRow({ rule, onOpen, onBuilt }: RuleRowProps): ReactNode {
  const words = messages.repository.rules;
  const { columns } = words;
  const { ref } = rule;
  const build = useMutation({ mutationFn: () => startBuild(rule.id), onSuccess: onBuilt });
  const refusal = rule.manualBuildRefusal === null ? null : words.refused(rule.manualBuildRefusal);
  return (
    <tr>
      <td data-label={columns.ref}>
        <span className="with-icon">
          {ref.type === 'tag' ? <TagIcon /> : <BranchIcon />}
          <bdi className="mono break">{ref.name}</bdi>
        </span>
        {!rule.enabled && <p className="muted small">{words.disabled}</p>}
        {rule.lastAutomaticStart !== null && <LastStart start={rule.lastAutomaticStart} />}
      </td>
      <td data-label={columns.dockerfile} className="mono break-late">
        {joinPath(rule.contextDirectory, rule.dockerfile)}
      </td>
      <td data-label={columns.tags}>
        {rule.imageTags.map((tag) => (
          <code key={templateOf(tag)} className="tag">
            {templateOf(tag)}
          </code>
        ))}
      </td>
      <td data-label={columns.platforms} className="small">
        {rule.architectures.join(', ')}
      </td>
      <td data-label={columns.acts}>
        <span className="row-actions">
          <Button
            variant="default"
            aria-label={words.buildLabel(ref.name)}
            aria-disabled={refusal !== null}
            {...(refusal === null ? {} : { 'data-disabled': true, title: refusal })}
            loading={build.isPending}
            onClick={() => refusal === null && build.mutate()}
          >
            {words.build}
          </Button>
          <Button variant="default" onClick={() => onOpen({ kind: 'ref', rule })}>
            {words.buildRef}
          </Button>
          <Button
            variant="default"
            aria-label={words.modifyLabel(ref.name)}
            onClick={() => onOpen({ kind: 'wizard', rule })}
          >
            {words.modify}
          </Button>
          <Button
            variant="subtle"
            aria-label={words.removeLabel(ref.name)}
            onClick={() => onOpen({ kind: 'remove', rule })}
          >
            {words.remove}
          </Button>
        </span>
        {refusal !== null && <p className="muted small">{refusal}</p>}
        {build.isError && <ErrorPanel problem={wordProblem(build.error, messages.error.actionTitle)} />}
      </td>
    </tr>
  );
}

/** Nobody waited for it, so what became of it is told here. */
function LastStart({ start }: { start: AutomaticStart }): ReactNode {
  const said = messages.repository.rules.lastStart[start.outcome];
  return (
    <p className="muted small">
      {messages.cause[start.cause]} <Ago at={start.at} />:{' '}
      {start.run === null ? (
        said
      ) : (
        <Link to="/records/$runId" params={{ runId: start.run }}>
          {said}
        </Link>
      )}
      {start.reason !== null && ` – ${wordReason(start.reason)}`}
    </p>
  );
}

function RemoveDialog({
  rule,
  onClose,
  onRemoved,
}: {
  rule: BuildRule;
  onClose: () => void;
  onRemoved: () => Promise<void>;
}): ReactNode {
  const words = messages.repository.rules;
  const remove = useMutation({ mutationFn: () => deleteBuildRule(rule), onSuccess: onRemoved });
  return (
    <Question
      title={words.removeTitle}
      keep={words.keep}
      confirm={words.remove}
      act={remove}
      isDanger
      onClose={onClose}
    >
      <p>{words.removeBody}</p>
    </Question>
  );
}

function joinPath(directory: string, file: string): string {
  const folder = directory.replace(/^\/+|\/+$/g, '');
  return folder === '' ? file : `${folder}/${file}`;
}

function templateOf({ template, buildTime, commitIdLength }: BuildRule['imageTags'][number]): string {
  const commit = commitIdLength === null ? null : `commit[${commitIdLength}]`;
  return [template, buildTime, commit].filter((part) => part !== null).join('-');
}
