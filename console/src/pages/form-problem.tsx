import type { ReactNode } from 'react';
import { ApiProblem } from '../api-problem.ts';
import { messages } from '../messages/index.ts';
import { ErrorPanel } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';

/** What the API says of one field of what was sent, to stand beside it. */
export function fieldProblem(error: Error | null, pointer: string): string | undefined {
  if (!(error instanceof ApiProblem)) return undefined;
  return error.problem.errors?.find((each) => each.pointer === pointer || each.pointer.startsWith(`${pointer}/`))
    ?.message;
}

/** The refusal of a whole form; nothing where every part of it stands beside a field already. */
export function FormProblem({ error, placed }: { error: Error | null; placed: readonly string[] }): ReactNode {
  if (error === null) return null;
  const fields = error instanceof ApiProblem ? (error.problem.errors ?? []) : [];
  const isPlaced = (pointer: string): boolean =>
    placed.some((each) => pointer === each || pointer.startsWith(`${each}/`));
  if (fields.length > 0 && fields.every(({ pointer }) => isPlaced(pointer))) return null;
  return <ErrorPanel problem={wordProblem(error, messages.error.actionTitle)} />;
}
