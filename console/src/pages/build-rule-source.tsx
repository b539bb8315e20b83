import { TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { listSourceTree } from '../api-source.ts';
import type { SourceEntry } from '../api-source.ts';
import type { BuildRuleDraft } from '../forms/build-rule.ts';
import { messages } from '../messages/index.ts';
import { useRested } from '../ui/rested.ts';
import { SuggestField } from '../ui/suggest-field.tsx';
import { wordUnasked } from '../words.ts';
import { useRulePreview } from './build-rule-preview.tsx';
import type { DraftProps } from './build-rule-wizard.tsx';
import { RefField } from './source-ref-field.tsx';

const restMs = 250;
/** What the host said a moment ago is good enough to pick from. */
const freshMs = 60_000;

/** Ref, context directory and Dockerfile of a rule, each typed or picked from the code itself (docs/product.md, section 6). */
export function SourceFields({ repository, draft, onChange }: DraftProps & { repository: string }): ReactNode {
  const words = messages.repository.wizard;
  const at = useShownRef(repository, draft);
  const context = draft.contextDirectory.replace(/^\/+/, '');
  const folder = context.replace(/\/+$/, '');
  const file = folder === '' ? draft.dockerfile : `${folder}/${draft.dockerfile}`;
  const directories = useTree(repository, { at, path: parentOf(context) });
  const files = useTree(repository, { at, path: parentOf(file) });
  const isMissing = files.isKnown && draft.dockerfile !== '' && !files.entries.some(({ path }) => path === file);
  return (
    <>
      {draft.refMatch === 'exact' ? (
        <RefField
          repository={repository}
          label={words.name}
          type={draft.refType}
          value={draft.refName}
          onChange={(refName) => onChange({ refName })}
        />
      ) : (
        <TextInput
          label={words.name}
          description={words.pattern}
          value={draft.refName}
          required
          spellCheck={false}
          onChange={({ target }) => onChange({ refName: target.value })}
        />
      )}
      <SuggestField
        label={words.contextDirectory}
        hint={directories.hint}
        value={draft.contextDirectory}
        groups={[
          {
            group: messages.source.picker.directories,
            items: offered(directories.entries, context)
              .filter(({ type }) => type === 'directory')
              .map(({ path }) => `/${path}/`),
          },
        ]}
        onChange={(contextDirectory) => onChange({ contextDirectory })}
      />
      <SuggestField
        label={words.dockerfile}
        hint={files.hint ?? (isMissing ? messages.source.picker.missing : words.dockerfileHint)}
        value={draft.dockerfile}
        groups={fileGroups(offered(files.entries, file), folder)}
        isRequired
        onChange={(dockerfile) => onChange({ dockerfile })}
      />
    </>
  );
}

/** The ref whose files are offered: the rule's own, or the first its pattern takes. */
function useShownRef(repository: string, draft: BuildRuleDraft): string | null {
  const { rule, preview } = useRulePreview(repository, draft);
  const name = rule.refMatch === 'exact' ? rule.refName : preview.data?.refs[0]?.ref;
  if (name === undefined || name === '') return null;
  return `refs/${rule.refType === 'tag' ? 'tags' : 'heads'}/${name}`;
}

interface Tree {
  readonly entries: readonly SourceEntry[];
  /** What was asked for last was answered. */
  readonly isKnown: boolean;
  /** Why nothing is offered, or whose files these are. */
  readonly hint: string | undefined;
}

function useTree(repository: string, { at, path }: { at: string | null; path: string }): Tree {
  const words = messages.source.picker;
  const asked = useRested(path, restMs);
  const tree = useQuery({
    queryKey: ['source-tree', repository, at, asked],
    queryFn: ({ signal }) => listSourceTree(repository, { ref: at ?? '', path: asked }, signal),
    enabled: at !== null,
    staleTime: freshMs,
    retry: false,
  });
  if (at === null) return { entries: [], isKnown: false, hint: words.noRef };
  if (!tree.isError)
    return { entries: tree.data?.items ?? [], isKnown: tree.isSuccess && asked === path, hint: undefined };
  return { entries: [], isKnown: false, hint: wordUnasked(tree.error) };
}

/** The directory in which a path is being typed. */
function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

/** How many are offered; who looks for another types its beginning. */
const mostOffered = 60;

/** Those that begin like what was typed, those that hold it, then the rest. */
function offered(entries: readonly SourceEntry[], typed: string): readonly SourceEntry[] {
  const rank = ({ path }: SourceEntry): number => {
    if (path.toLowerCase().startsWith(typed.toLowerCase())) return 0;
    return path.toLowerCase().includes(typed.slice(parentOf(typed).length).toLowerCase()) ? 1 : 2;
  };
  return entries.toSorted((a, b) => rank(a) - rank(b)).slice(0, mostOffered);
}

/** Files, and directories to look into, as they are called inside the context. */
function fileGroups(entries: readonly SourceEntry[], folder: string) {
  const words = messages.source.picker;
  const inside = folder === '' ? '' : `${folder}/`;
  const nameOf = ({ path }: SourceEntry): string => path.slice(inside.length);
  const of = (type: SourceEntry['type']): SourceEntry[] =>
    entries.filter((entry) => entry.type === type && entry.path.startsWith(inside));
  return [
    { group: words.files, items: of('file').map(nameOf) },
    { group: words.directories, items: of('directory').map((entry) => `${nameOf(entry)}/`) },
  ];
}
