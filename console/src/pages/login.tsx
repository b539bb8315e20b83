import { Button, PasswordInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { getRouteApi, useRouter } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';
import type { FormEvent, ReactNode } from 'react';
import { ApiProblem } from '../api-problem.ts';
import { signIn } from '../api.ts';
import type { Login } from '../api.ts';
import { messages } from '../messages/index.ts';
import { paths } from '../path-builder.ts';
import { PageTitle } from '../ui/panels.tsx';
import { wordProblem } from '../words.ts';

const route = getRouteApi('/login');

/** Paste the token (or come by a printed address with its one-time code), get the session cookie, go where the reader wanted to. */
export function LoginPage(): ReactNode {
  const { next, code } = route.useSearch();
  const router = useRouter();
  const [token, setToken] = useState('');
  const [isEmpty, setEmpty] = useState(false);
  const enter = useMutation({
    mutationFn: (login: Login) => signIn(login),
    onSuccess: () => router.navigate({ href: isOurs(next) ? next : paths.records() }),
  });
  useCodeOnce(code, (once) => enter.mutate({ code: once }));
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    setEmpty(token.trim() === '');
    if (token.trim() !== '') enter.mutate({ token: token.trim() });
  };
  const error = isEmpty ? messages.login.empty : enter.isError ? wordRefusal(enter.error, enter.variables) : undefined;
  return (
    <main id="content" className="login">
      <form onSubmit={submit} noValidate>
        <img src="/icon.svg" alt="" width="36" height="36" />
        <PageTitle title={messages.login.title} />
        <p className="muted">{messages.login.hint}</p>
        <PasswordInput
          label={messages.login.token}
          value={token}
          onChange={({ target }) => setToken(target.value)}
          autoComplete="current-password"
          autoFocus
          error={error}
        />
        <Button type="submit" size="sm" fullWidth loading={enter.isPending}>
          {messages.login.submit}
        </Button>
      </form>
    </main>
  );
}

/** A code works once: not twice because React renders twice. */
function useCodeOnce(code: string | undefined, use: (code: string) => void): void {
  const used = useRef('');
  useEffect(() => {
    if (code === undefined || used.current === code) return;
    used.current = code;
    use(code);
  });
}

function wordRefusal(error: unknown, login: Login | undefined): string {
  if (!(error instanceof ApiProblem) || error.status !== 401) return wordProblem(error).detail;
  return login !== undefined && 'code' in login ? messages.login.usedCode : messages.login.wrong;
}

/** Only addresses of this console: `//elsewhere` and other hosts are not followed. */
function isOurs(next: string | undefined): next is string {
  return next !== undefined && /^\/(?![/\\])/.test(next);
}
