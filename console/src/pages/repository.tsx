import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import { fetchInstance } from '../api.ts';
import type { Repository } from '../api-build.ts';
import { messages } from '../messages/index.ts';
import { CopyButton } from '../ui/copy-button.tsx';
import { Facts } from '../ui/panels.tsx';
import { RepositoryFrame } from './repository-frame.tsx';
import { SourceBindingPanel } from './source-binding.tsx';

const route = getRouteApi('/shell/repositories/$repositoryId');

/** How to log in, push and pull, and where the code is (docs/product.md, section 4, "Details"). */
export function RepositoryPage(): ReactNode {
  const { repositoryId } = route.useParams();
  return (
    <RepositoryFrame id={repositoryId}>
      {(repository) => (
        <>
          <Commands repository={repository} />
          <SourceBindingPanel key={repository.id} repository={repository} />
        </>
      )}
    </RepositoryFrame>
  );
}

function Commands({ repository }: { repository: Repository }): ReactNode {
  const words = messages.repository;
  const instance = useQuery({
    queryKey: ['instance', repository.instance],
    queryFn: ({ signal }) => fetchInstance(repository.instance, signal),
    staleTime: 300_000,
  });
  if (instance.data === undefined) return null;
  const { host } = new URL(instance.data.registryUrl);
  const image = `${host}/${repository.namespace}/${repository.name}`;
  const commands = [
    [words.login, `docker login ${host}`],
    [words.pull, `docker pull ${image}:<tag>`],
    [words.push, `docker push ${image}:<tag>`],
  ] as const;
  return (
    <Facts
      items={commands.map(([word, command]) => [
        word,
        <span key={word} className="with-icon">
          <code className="break">{command}</code>
          <CopyButton text={command} label={word} />
        </span>,
      ])}
    />
  );
}
