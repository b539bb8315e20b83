import { keepPreviousData, useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { ApiProblem } from '../api-problem.ts';
import { previewBuildRule } from '../api-build.ts';
import type { RulePreview } from '../api-build.ts';
import { definitionOf } from '../forms/build-rule.ts';
import type { BuildRuleDraft } from '../forms/build-rule.ts';
import { messages } from '../messages/index.ts';
import { useRested } from '../ui/rested.ts';
import { wordProblem } from '../words.ts';

/** How long typing must rest before the server is asked. */
const restMs = 350;

/** What the rule would take of the real branches and tags, and which image tags come of it (docs/product.md, X-05). */
export function BuildRulePreview({ repository, draft }: { repository: string; draft: BuildRuleDraft }): ReactNode {
  const words = messages.repository.preview;
  const { rule, preview } = useRulePreview(repository, draft);
  return (
    <section className="preview" aria-label={words.title} aria-busy={preview.isFetching}>
      <h3>{words.title}</h3>
      {rule.refName === '' && <p className="muted">{words.waiting}</p>}
      {preview.isError && <PreviewProblem error={preview.error} />}
      {!preview.isError && preview.data !== undefined && <Matches preview={preview.data} />}
    </section>
  );
}

/** The preview of a draft whose typing rests; asked once, whoever shows a part of it. */
export function useRulePreview(repository: string, draft: BuildRuleDraft) {
  const rule = useRested(draft, restMs);
  const preview = useQuery({
    queryKey: ['rule-preview', repository, rule],
    queryFn: ({ signal }) => previewBuildRule({ rule: definitionOf(rule), repository }, signal),
    enabled: rule.refName !== '',
    placeholderData: keepPreviousData,
    retry: false,
  });
  return { rule, preview };
}

function Matches({ preview: { refs, matched, examined } }: { preview: RulePreview }): ReactNode {
  const words = messages.repository.preview;
  return (
    <>
      <p className="muted small" role="status">
        {matched === 0 ? words.none : words.counts(matched, examined)}
      </p>
      <ul className="preview-refs" tabIndex={0} aria-label={words.title}>
        {refs.map(({ ref, groups, tags, problem, isExampleCommit }) => (
          <li key={ref}>
            <bdi className="mono break">{ref}</bdi>
            {isExampleCommit && <span className="muted small"> ({words.example})</span>}
            {Object.entries(groups).map(([name, value]) => (
              <span key={name} className="muted small mono">
                {' '}
                {name}={value}
              </span>
            ))}
            <span className="tags">
              {tags.map((tag) => (
                <code key={tag} className="tag">
                  {tag}
                </code>
              ))}
            </span>
            {problem !== null && <p className="small preview-problem">{problem.text}</p>}
          </li>
        ))}
      </ul>
    </>
  );
}

function PreviewProblem({ error }: { error: Error }): ReactNode {
  const fields = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
  if (fields.length === 0) return <p className="preview-problem">{wordProblem(error).detail}</p>;
  return (
    <ul className="field-errors" role="status">
      {fields.map(({ pointer, message }) => (
        <li key={`${pointer} ${message}`}>
          <code>{pointer.replace(/^\/rule/, '')}</code> {message}
        </li>
      ))}
    </ul>
  );
}
