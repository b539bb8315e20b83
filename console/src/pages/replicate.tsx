import type { ReactNode } from 'react';
import type { ReplicateStep } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { formatBytes } from '../ui/format.ts';
import { StateBadge } from '../ui/state-badge.tsx';
import { stepLooks } from '../ui/state.ts';
import { Ago } from '../ui/time.tsx';
import { wordReason } from '../words.ts';

/** Per destination: what went over the wire, what did not have to, and when it was read back. */
export function ReplicatePanel({ step }: { step: ReplicateStep }): ReactNode {
  const { replicate } = messages;
  if (step.children.length === 0) return <p className="muted">{messages.record.nothingYet}</p>;
  return (
    <table className="table cards">
      <thead>
        <tr>
          <th scope="col">{replicate.destination}</th>
          <th scope="col">{replicate.state}</th>
          <th scope="col" className="number">
            {replicate.sent}
          </th>
          <th scope="col">{replicate.blobs}</th>
          <th scope="col">{replicate.verified}</th>
        </tr>
      </thead>
      <tbody>
        {step.children.map(({ key, state, reason, result }) => (
          <tr key={key}>
            <th scope="row" data-label={replicate.destination} className="mono break">
              {key}
            </th>
            <td data-label={replicate.state}>
              <StateBadge look={stepLooks[state]} />
              {reason !== null && <p className="small">{wordReason(reason)}</p>}
            </td>
            <td data-label={replicate.sent} className="number nowrap">
              {result === null ? '–' : formatBytes(result.bytes)}
            </td>
            <td data-label={replicate.blobs}>
              {result === null
                ? '–'
                : replicate.blobCounts(result.blobs.copied, result.blobs.mounted, result.blobs.skipped)}
            </td>
            <td data-label={replicate.verified} className="nowrap">
              {typeof result?.verifiedAt === 'string' ? <Ago at={result.verifiedAt} /> : replicate.notVerified}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
