import { Button, NativeSelect, useMantineColorScheme } from '@mantine/core';
import { useMutation, useQuery } from '@tanstack/react-query';
import { Link, Navigate, Outlet, useNavigate } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import type { ReactNode } from 'react';
import { fetchSession, signOut } from '../api.ts';
import { LiveProvider, useLiveStatus } from '../live-context.tsx';
import { messages } from '../messages/index.ts';
import { zones } from '../ui/format.ts';
import { ErrorPanel, PageTitle } from '../ui/panels.tsx';
import { useZone } from '../ui/zone.tsx';
import { wordProblem } from '../words.ts';

/** What every page has, the login page too. */
export function RootFrame(): ReactNode {
  return <Outlet />;
}

/** Header, content, footer of the pages behind the login. */
export function Shell(): ReactNode {
  const session = useQuery({ queryKey: ['session'], queryFn: ({ signal }) => fetchSession(signal), staleTime: 60_000 });
  return (
    <LiveProvider>
      <a className="skip-link" href="#content">
        {messages.shell.skip}
      </a>
      <header className="topbar">
        <Link to="/records" className="brand">
          <img src="/icon.svg" alt="" width="22" height="22" />
          {messages.product}
        </Link>
        <nav aria-label={messages.shell.navigation}>
          <Link to="/records" activeProps={{ className: 'active' }}>
            {messages.shell.records}
          </Link>
          <Link to="/repositories" activeProps={{ className: 'active' }}>
            {messages.shell.repositories}
          </Link>
          <Link to="/source-accounts" activeProps={{ className: 'active' }}>
            {messages.shell.sourceAccounts}
          </Link>
        </nav>
        <StaleNote />
        <SignOut actor={session.data?.actor ?? ''} />
      </header>
      <main id="content" tabIndex={-1}>
        <Outlet />
      </main>
      <footer className="bottombar">
        <ThemeChoice />
        <ZoneChoice />
      </footer>
    </LiveProvider>
  );
}

function SignOut({ actor }: { actor: string }): ReactNode {
  const navigate = useNavigate();
  const leave = useMutation({
    mutationFn: signOut,
    onSettled: () => navigate({ to: '/login', search: {}, reloadDocument: true }),
  });
  return (
    <div className="account">
      <span className="muted account-name">{actor}</span>
      <Button variant="subtle" size="compact-sm" onClick={() => leave.mutate()}>
        {messages.shell.signOut}
      </Button>
    </div>
  );
}

/** Said only after five seconds: a short break is nobody's concern. */
function StaleNote(): ReactNode {
  const isLost = useLiveStatus() === 'lost';
  const [isStale, setStale] = useState(false);
  useEffect(() => {
    if (!isLost) {
      setStale(false);
      return undefined;
    }
    const timer = setTimeout(() => setStale(true), 5_000);
    return () => clearTimeout(timer);
  }, [isLost]);
  return (
    <span role="status" className={isStale ? 'stale-note' : 'visually-hidden'}>
      {isStale ? messages.shell.stale : ''}
    </span>
  );
}

function ThemeChoice(): ReactNode {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const choices = [
    { value: 'auto', label: messages.shell.themes.auto },
    { value: 'light', label: messages.shell.themes.light },
    { value: 'dark', label: messages.shell.themes.dark },
  ] as const;
  return (
    <NativeSelect
      aria-label={messages.shell.theme}
      data={choices}
      value={colorScheme}
      onChange={({ target }) => setColorScheme(choices.find(({ value }) => value === target.value)?.value ?? 'auto')}
    />
  );
}

function ZoneChoice(): ReactNode {
  const { zone, setZone } = useZone();
  return (
    <NativeSelect
      aria-label={messages.shell.zone}
      data={zones.map((value) => ({ value, label: messages.shell.zones[value] }))}
      value={zone}
      onChange={({ target }) => setZone(zones.find((each) => each === target.value) ?? 'local')}
    />
  );
}

/** The console opens with its list of runs. */
export function HomePage(): ReactNode {
  return <Navigate to="/records" replace />;
}

export function NotFoundPage(): ReactNode {
  return (
    <main id="content" className="narrow">
      <PageTitle title={messages.shell.notFoundTitle} />
      <p>{messages.shell.notFound}</p>
      <Link to="/records">{messages.shell.records}</Link>
    </main>
  );
}

export function CrashPage({ error }: { error: unknown }): ReactNode {
  return (
    <main id="content" className="narrow">
      <p>{messages.error.crashed}</p>
      <ErrorPanel problem={wordProblem(error)} onRetry={() => location.reload()} />
    </main>
  );
}
