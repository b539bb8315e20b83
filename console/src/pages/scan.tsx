import { useInfiniteQuery } from '@tanstack/react-query';
import { useEffect } from 'react';
import type { ReactNode } from 'react';
import type { Severity } from '../../../domain/scan.ts';
import { listFindings, scanReportUrl } from '../api.ts';
import type { RunRecord, ScanResult, ScanStep } from '../api-types.ts';
import { mergeFindings } from '../findings.ts';
import { messages } from '../messages/index.ts';
import { DownloadIcon } from '../ui/icons.tsx';
import { ErrorPanel, Facts, LoadingPanel } from '../ui/panels.tsx';
import { SeverityCount } from '../ui/severity.tsx';
import { Time } from '../ui/time.tsx';
import { wordProblem, wordReason } from '../words.ts';
import { TagFences, TagList } from './push.tsx';
import { FindingTable } from './scan-findings.tsx';

/** The verdict, the rule that made it, and every finding. */
export function ScanPanel({ step, fence }: { step: ScanStep; fence: RunRecord['tagFence'] }): ReactNode {
  const { result } = step;
  if (result === null) return <p className="muted">{wordReason(step.reason) || messages.record.nothingYet}</p>;
  return (
    <>
      <PlatformCounts step={step} scan={result.scan} />
      <Facts items={scanFacts(result)} />
      {result.tags.length + result.fenced.length > 0 && <TagFences fence={fence} />}
      <Findings step={step} result={result} />
    </>
  );
}

const severityOrder: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'unknown'];

/** What was found in each architecture's image (the worst of them decides), with the files the engine wrote about it. */
function PlatformCounts({ step, scan }: { step: ScanStep; scan: string }): ReactNode {
  return (
    <ul className="platform-counts" aria-label={messages.scan.counts}>
      {step.children.map(({ key, result }) => (
        <li key={key}>
          <span className="mono">{key}</span>
          <span className="severities">
            {result !== null &&
              severityOrder.map((severity) => (
                <SeverityCount key={severity} severity={severity} count={result.counts[severity]} />
              ))}
          </span>
          {result !== null && <Reports scan={scan} platform={key} />}
        </li>
      ))}
    </ul>
  );
}

function Reports({ scan, platform }: { scan: string; platform: string }): ReactNode {
  const { reportJson, reportSbom } = messages.scan;
  return (
    <span className="links">
      <a href={scanReportUrl(scan, { format: 'json', platform })} download className="with-icon">
        <DownloadIcon /> {reportJson} <span className="visually-hidden">{platform}</span>
      </a>
      <a href={scanReportUrl(scan, { format: 'cyclonedx', platform })} download className="with-icon">
        <DownloadIcon /> {reportSbom} <span className="visually-hidden">{platform}</span>
      </a>
    </span>
  );
}

function scanFacts(result: ScanResult): readonly (readonly [string, ReactNode])[] {
  const { scan } = messages;
  const facts: (readonly [string, ReactNode])[] = [
    [scan.rule, result.rule === null ? scan.noRule : <code key="rule">{result.rule}</code>],
  ];
  for (const engine of result.engines) facts.push([scan.engine, <EngineWords key={engine.name} engine={engine} />]);
  if (result.tags.length > 0) facts.push([messages.push.tags, <TagList key="tags" tags={result.tags} />]);
  if (result.backup.length > 0) {
    facts.push([scan.backedUp, <TagList key="backup" tags={result.backup} />]);
  }
  if (result.isDeleted) facts.push([scan.deletion, scan.deleted]);
  return facts;
}

function EngineWords({ engine }: { engine: ScanResult['engines'][number] }): ReactNode {
  const { scan } = messages;
  return (
    <>
      {engine.name} {engine.version}, {scan.data}{' '}
      {engine.dataUpdatedAt === null ? scan.dataUnknown : <Time at={engine.dataUpdatedAt} />}{' '}
      {engine.isSampleData && (
        <span className="label-sample" title={scan.sampleHint}>
          {scan.sample}
        </span>
      )}
    </>
  );
}

/** Rows fetched at most; an image with more is read from its report. */
const findingsMax = 5_000;

function Findings({ step, result }: { step: ScanStep; result: ScanResult }): ReactNode {
  const pages = useInfiniteQuery({
    queryKey: ['findings', result.scan, result.verdict],
    queryFn: ({ pageParam, signal }) => listFindings(result.scan, pageParam, signal),
    initialPageParam: '',
    getNextPageParam: ({ nextCursor }) => nextCursor ?? undefined,
    staleTime: 60_000,
  });
  const findings = pages.data?.pages.flatMap(({ items }) => items) ?? [];
  const isMore = pages.hasNextPage && findings.length < findingsMax;
  const { fetchNextPage, isFetching } = pages;
  useEffect(() => {
    if (isMore && !isFetching) void fetchNextPage();
  }, [isMore, isFetching, fetchNextPage]);

  if (pages.isPending) return <LoadingPanel rows={6} label={messages.scan.findings} />;
  if (pages.isError) return <ErrorPanel problem={wordProblem(pages.error)} onRetry={() => void pages.refetch()} />;
  if (findings.length === 0) return <NothingFound step={step} />;
  return (
    <>
      {pages.hasNextPage && !isMore && <p>{messages.scan.cut(findings.length)}</p>}
      <FindingTable rows={mergeFindings(findings)} />
    </>
  );
}

const unscannableWords: Readonly<Record<string, string>> = {
  no_packages: messages.scan.noPackages,
  data_missing: messages.scan.noData,
  data_too_old: messages.scan.oldData,
};

/** "Clean" and "nothing was examined" are different answers. */
function NothingFound({ step }: { step: ScanStep }): ReactNode {
  const why = step.children.map(({ result }) => result?.unscannable ?? '').find((each) => each !== '');
  return <p>{why === undefined ? messages.scan.none : (unscannableWords[why] ?? messages.scan.noPackages)}</p>;
}
