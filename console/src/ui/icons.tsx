import type { ReactNode } from 'react';

function icon(paths: ReactNode, name: string): () => ReactNode {
  return function Icon() {
    return (
      <svg
        className={`icon icon-${name}`}
        viewBox="0 0 16 16"
        width="16"
        height="16"
        aria-hidden="true"
        focusable="false"
      >
        <g fill="none" stroke="currentColor" strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round">
          {paths}
        </g>
      </svg>
    );
  };
}

const ring = <circle cx="8" cy="8" r="6.2" />;

export const SuccessIcon = icon(
  <>
    {ring}
    <path d="M5.2 8.3 7.2 10.3 10.9 6" />
  </>,
  'success',
);
export const FailedIcon = icon(
  <>
    {ring}
    <path d="M5.8 5.8 10.2 10.2M10.2 5.8 5.8 10.2" />
  </>,
  'failed',
);
/** A shield with a bar: stopped by policy, nothing broke. */
export const DeniedIcon = icon(
  <>
    <path d="M8 1.6 13.4 3.5V7.6C13.4 11 11.2 13.4 8 14.5 4.8 13.4 2.6 11 2.6 7.6V3.5Z" />
    <path d="M5.4 7.8H10.6" />
  </>,
  'denied',
);
export const RunningIcon = icon(
  <>
    <circle cx="8" cy="8" r="6.2" opacity="0.25" />
    <path className="spin" d="M8 1.8A6.2 6.2 0 0 1 14.2 8" />
  </>,
  'running',
);
export const WaitingIcon = icon(
  <>
    <circle cx="8" cy="8" r="6.2" strokeDasharray="2.2 2.7" />
  </>,
  'waiting',
);
export const QueuedIcon = icon(
  <>
    {ring}
    <path d="M8 4.8V8.2L10.2 9.6" />
  </>,
  'queued',
);
export const CanceledIcon = icon(
  <>
    {ring}
    <path d="M3.8 12.2 12.2 3.8" />
  </>,
  'canceled',
);
export const SkippedIcon = icon(
  <>
    {ring}
    <path d="M5.4 8H10.6" />
  </>,
  'skipped',
);
export const ChevronIcon = icon(<path d="M6 3.5 10.5 8 6 12.5" />, 'chevron');
export const CopyIcon = icon(
  <>
    <rect x="5.5" y="5.5" width="8" height="8" rx="1.5" />
    <path d="M10.5 5.5V4A1.5 1.5 0 0 0 9 2.5H4A1.5 1.5 0 0 0 2.5 4V9A1.5 1.5 0 0 0 4 10.5H5.5" />
  </>,
  'copy',
);
export const CheckIcon = icon(<path d="M3.5 8.5 6.5 11.5 12.5 4.5" />, 'check');
export const ExternalIcon = icon(<path d="M6.5 3.5H3.5V12.5H12.5V9.5M9 2.8H13.2V7M13 3 7.5 8.5" />, 'external');
export const DownloadIcon = icon(<path d="M8 2.5V10M4.8 7 8 10.2 11.2 7M3 13H13" />, 'download');
export const BranchIcon = icon(
  <>
    <circle cx="4.5" cy="3.8" r="1.6" />
    <circle cx="4.5" cy="12.2" r="1.6" />
    <circle cx="11.5" cy="5" r="1.6" />
    <path d="M4.5 5.4V10.6M11.5 6.6C11.5 9 8 8.6 5.6 10.8" />
  </>,
  'branch',
);
export const CommitIcon = icon(
  <>
    <circle cx="8" cy="8" r="2.4" />
    <path d="M1.8 8H5.6M10.4 8H14.2" />
  </>,
  'commit',
);
export const TagIcon = icon(
  <>
    <path d="M2.5 2.5H8L13.5 8 8 13.5 2.5 8Z" />
    <circle cx="5.6" cy="5.6" r="0.6" />
  </>,
  'tag',
);
export const ArrowDownIcon = icon(<path d="M8 3V12.5M4 8.8 8 12.8 12 8.8" />, 'arrow-down');
export const ArrowUpIcon = icon(<path d="M8 13V3.5M4 7.2 8 3.2 12 7.2" />, 'arrow-up');
export const CloseIcon = icon(<path d="M4 4 12 12M12 4 4 12" />, 'close');
