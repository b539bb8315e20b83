import { Button, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { changeBuildSettings } from '../api-build.ts';
import type { Repository } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { CheckField } from '../ui/fields.tsx';
import { EmptyPanel, ErrorPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';
import { BuildCaches } from './build-cache.tsx';
import { BuildList } from './build-list.tsx';
import { BuildRules } from './build-rules.tsx';
import { RepositoryFrame } from './repository-frame.tsx';

const route = getRouteApi('/shell/repositories/$repositoryId/build');

/** Build settings, build rules and the builds there were (docs/product.md, section 4, "Build"). */
export function RepositoryBuildPage(): ReactNode {
  const { repositoryId } = route.useParams();
  const { build } = route.useSearch();
  return (
    <RepositoryFrame id={repositoryId}>
      {(repository) =>
        repository.codeSource === null ? (
          <EmptyPanel title={messages.repository.localTitle}>
            <p>{messages.repository.localHint}</p>
            <Link to="/repositories/$repositoryId" params={{ repositoryId }}>
              {messages.repository.toDetails}
            </Link>
          </EmptyPanel>
        ) : (
          <>
            <Settings key={JSON.stringify(repository.buildSettings)} repository={repository} />
            <BuildRules repository={repository} />
            <BuildList repository={repository} open={build ?? null} />
            <BuildCaches repository={repository.id} />
          </>
        )
      }
    </RepositoryFrame>
  );
}

function Settings({ repository }: { repository: Repository }): ReactNode {
  const words = messages.repository.settings;
  const [settings, setSettings] = useState(repository.buildSettings);
  const queries = useQueryClient();
  const save = useMutation({
    mutationFn: () => changeBuildSettings(repository, settings),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['repository', repository.id] }),
  });
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    save.mutate();
  };
  const isChanged = JSON.stringify(settings) !== JSON.stringify(repository.buildSettings);
  return (
    <section className="panel" aria-labelledby="build-settings">
      <h2 id="build-settings">{words.title}</h2>
      <form className="build-settings" onSubmit={submit}>
        <CheckField
          label={words.autoBuild}
          isOn={settings.autoBuild}
          onChange={(autoBuild) => setSettings({ ...settings, autoBuild })}
        />
        <CheckField
          label={words.noCache}
          isOn={settings.noCache}
          onChange={(noCache) => setSettings({ ...settings, noCache })}
        />
        <TextInput
          label={words.buildRegion}
          placeholder={words.regionHint}
          value={settings.buildRegion ?? ''}
          onChange={({ target }) => setSettings({ ...settings, buildRegion: target.value || null })}
        />
        <Button type="submit" variant="default" disabled={!isChanged} loading={save.isPending}>
          {words.save}
        </Button>
        {save.isError && <ErrorPanel problem={wordProblem(save.error, messages.error.actionTitle)} />}
      </form>
    </section>
  );
}
