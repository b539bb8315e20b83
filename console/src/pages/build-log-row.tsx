import { memo } from 'react';
import type { MouseEvent } from 'react';
import { isErrorLine } from '../../../domain/log-text.ts';
import type { LogLine } from '../api-types.ts';
import { messages } from '../messages/index.ts';
import { renderLine } from '../ui/log-line.ts';
import { Time } from '../ui/time.tsx';

interface RowProps {
  /** undefined while it is being fetched. */
  readonly line: LogLine | undefined;
  readonly isMarked: boolean;
  readonly isFound: boolean;
  readonly isPlatformShown: boolean;
  readonly isTimeShown: boolean;
  readonly address: string;
  readonly onMark: (line: number, isExtending: boolean) => void;
}

/** One line: its number, which is its address, and what was printed, as text. */
export const LogRow = memo(function LogRow(props: RowProps) {
  const { line, isMarked, isFound, isPlatformShown, isTimeShown, address, onMark } = props;
  if (line === undefined) return <div className="log-row" />;
  const mark = (event: MouseEvent): void => {
    if (event.metaKey || event.ctrlKey) return;
    event.preventDefault();
    onMark(line.line, event.shiftKey);
  };
  const look = `${isMarked ? ' is-marked' : ''}${isFound ? ' is-found' : ''}${isErrorLine(line.text) ? ' is-error' : ''}`;
  return (
    <div className={`log-row${look}`}>
      <a href={address} className="log-number" onClick={mark} aria-label={messages.log.lineLink(line.line)}>
        {line.line}
      </a>
      {isTimeShown && (
        <span className="log-time">
          <Time at={line.time} isClock />
        </span>
      )}
      {isPlatformShown && <span className="log-platform">{line.platform?.replace('linux/', '') ?? ''}</span>}
      <span className="log-text">
        {renderLine(line.text).map(({ text, style, href }, index) =>
          href === null ? (
            <span key={index} style={style}>
              {text}
            </span>
          ) : (
            <a key={index} href={href} style={style} target="_blank" rel="noopener noreferrer">
              {text}
            </a>
          ),
        )}
      </span>
    </div>
  );
});
