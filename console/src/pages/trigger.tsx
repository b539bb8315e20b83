import { Button } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Reason } from '../../../domain/errors.ts';
import type { DeliveryStatus } from '../../../domain/trigger.ts';
import { fetchDelivery, resendDelivery } from '../api.ts';
import type { DeliveryAttempt, DeliveryRef, TriggerStep } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { formatDuration } from '../ui/format.ts';
import { ErrorPanel, LoadingPanel } from '../ui/panels.tsx';
import { StateBadge } from '../ui/state-badge.tsx';
import { deliveryLooks } from '../ui/state.ts';
import { Ago, Time } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';

/** One section per message, with every request and its answer. */
export function TriggerPanel({ step }: { step: TriggerStep }): ReactNode {
  const triggers = step.children.map(({ key, result }) => ({
    id: key,
    name: result?.name ?? key,
    deliveries: result?.deliveries ?? step.result?.deliveries.filter(({ trigger }) => trigger === key) ?? [],
  }));
  if (triggers.every(({ deliveries }) => deliveries.length === 0)) {
    return <p className="muted">{step.result === null ? messages.record.nothingYet : messages.trigger.noDeliveries}</p>;
  }
  return (
    <>
      {triggers.flatMap(({ name, deliveries }) =>
        deliveries.map((delivery) => <DeliveryCard key={delivery.id} name={name} delivery={delivery} />),
      )}
      <p className="muted small">{messages.trigger.secretsCut}</p>
    </>
  );
}

const unsettled: readonly DeliveryStatus[] = ['waiting', 'sending', 'retrying'];

function DeliveryCard({ name, delivery }: { name: string; delivery: DeliveryRef }): ReactNode {
  const queries = useQueryClient();
  const queryKey = ['delivery', delivery.id];
  const detail = useQuery({
    queryKey: [...queryKey, delivery.status],
    queryFn: ({ signal }) => fetchDelivery(delivery.id, signal),
    refetchInterval: ({ state }) => (unsettled.includes(state.data?.status ?? delivery.status) ? 3_000 : false),
  });
  const resend = useMutation({
    mutationFn: () => resendDelivery(delivery.id),
    onSuccess: () => queries.invalidateQueries({ queryKey }),
  });
  const status = detail.data?.status ?? delivery.status;
  return (
    <article className="delivery" aria-label={`${name} ${delivery.tag ?? ''}`}>
      <header>
        <StateBadge look={deliveryLooks[status]} />
        <strong>{name}</strong>
        {delivery.tag !== null && <code className="tag">{delivery.tag}</code>}
        {detail.data !== undefined && (
          <span className="muted small webhook-id">
            {messages.trigger.webhookId} <code>{detail.data.webhookId}</code>
          </span>
        )}
        {status !== 'untriggered' && (
          <Button variant="default" size="compact-xs" loading={resend.isPending} onClick={() => resend.mutate()}>
            {messages.trigger.resend}
          </Button>
        )}
        <span role="status" className="small">
          {resend.isSuccess ? messages.trigger.resent : ''}
        </span>
      </header>
      {resend.isError && <ErrorPanel problem={wordProblem(resend.error, messages.error.actionTitle)} />}
      {detail.isPending && <LoadingPanel rows={2} label={messages.trigger.request} />}
      {detail.isError && <ErrorPanel problem={wordProblem(detail.error)} onRetry={() => void detail.refetch()} />}
      <Why reason={detail.data?.reason ?? null} />
      {typeof detail.data?.nextAttemptAt === 'string' && (
        <p className="small">
          {messages.trigger.nextAttempt} <Time at={detail.data.nextAttemptAt} />
        </p>
      )}
      {detail.data?.attempts.length === 0 && <p className="muted small">{messages.trigger.noAttempts}</p>}
      {detail.data?.attempts.map((attempt) => (
        <Attempt key={attempt.number} attempt={attempt} />
      ))}
    </article>
  );
}

function Why({ reason }: { reason: Reason | null }): ReactNode {
  return reason === null ? null : <p className="small">{wordReason(reason)}</p>;
}

function Attempt({ attempt }: { attempt: DeliveryAttempt }): ReactNode {
  const isGood = attempt.statusCode !== null && attempt.statusCode >= 200 && attempt.statusCode < 300;
  return (
    <details className="attempt">
      <summary>
        <span>{messages.trigger.attempt(attempt.number)}</span>
        <strong className={isGood ? 'tone-success' : 'tone-failed'}>
          {attempt.statusCode ?? attempt.errorClass ?? messages.trigger.noAnswer}
        </strong>
        {attempt.durationMs !== null && <span className="muted">{formatDuration(attempt.durationMs)}</span>}
        <span className="muted">
          <Ago at={attempt.at} />
        </span>
      </summary>
      <div className="exchange">
        <Message title={messages.trigger.request} headers={attempt.requestHeaders} body={attempt.requestBody} />
        {attempt.responseHeaders !== null && (
          <Message
            title={messages.trigger.response}
            headers={attempt.responseHeaders}
            body={attempt.responseBody ?? ''}
          />
        )}
      </div>
    </details>
  );
}

function Message({
  title,
  headers,
  body,
}: {
  title: string;
  headers: Readonly<Record<string, string>>;
  body: string;
}): ReactNode {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <pre tabIndex={0}>
        <span className="muted">{lines.join('\n')}</span>
        {'\n\n'}
        {body === '' ? messages.trigger.emptyBody : indented(body)}
      </pre>
    </section>
  );
}

/** JSON laid out for reading; anything else as it is. */
function indented(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
