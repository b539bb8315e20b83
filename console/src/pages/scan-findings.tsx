import { NativeSelect, TextInput } from '@mantine/core';
import { getRouteApi } from '@tanstack/react-router';
import { useMemo } from 'react';
import type { ReactNode } from 'react';
import { advisoryUrl, findingSorts, viewFindings } from '../findings.ts';
import type { FindingRow, FindingSort } from '../findings.ts';
import { messages } from '../messages/index.ts';
import { SeverityLabel } from '../ui/severity.tsx';

const route = getRouteApi('/shell/records/$runId');

/** Every finding; what is shown of them stands in the address. */
export function FindingTable({ rows }: { rows: readonly FindingRow[] }): ReactNode {
  const { severity, q, fixable, sort } = route.useSearch();
  const navigate = route.useNavigate();
  const chosenSort = findingSorts.find((each) => each === sort) ?? 'severity';
  const shown = useMemo(
    () => viewFindings(rows, { severity, q, isFixableOnly: fixable === '1', sort: chosenSort }),
    [rows, severity, q, fixable, chosenSort],
  );
  const change = (changed: Readonly<Record<string, string>>): void => {
    void navigate({ search: (search) => ({ ...search, step: 'scan', ...changed }), replace: true, resetScroll: false });
  };
  return (
    <div>
      <div className="finding-filters">
        <TextInput
          type="search"
          aria-label={messages.scan.filter}
          placeholder={messages.scan.filter}
          value={q ?? ''}
          onChange={({ target }) => change({ q: target.value })}
        />
        <NativeSelect
          aria-label={messages.scan.severityLabel}
          data={[
            { value: '', label: messages.scan.anySeverity },
            ...Object.entries(messages.scan.severity).map(([value, label]) => ({ value, label })),
          ]}
          value={severity ?? ''}
          onChange={({ target }) => change({ severity: target.value })}
        />
        <label>
          <input
            type="checkbox"
            checked={fixable === '1'}
            onChange={({ target }) => change({ fixable: target.checked ? '1' : '' })}
          />
          {messages.scan.fixableOnly(rows.filter(({ fixedVersion }) => fixedVersion !== null).length)}
        </label>
        <span className="muted" role="status">
          {messages.scan.shown(shown.length, rows.length)}
        </span>
      </div>
      {shown.length === 0 ? (
        <p className="muted">{messages.scan.noMatch}</p>
      ) : (
        <Rows rows={shown} sort={chosenSort} onSort={(by) => change({ sort: by })} />
      )}
    </div>
  );
}

interface RowsProps {
  readonly rows: readonly FindingRow[];
  readonly sort: FindingSort;
  readonly onSort: (sort: FindingSort) => void;
}

function Rows({ rows, sort, onSort }: RowsProps): ReactNode {
  const { columns } = messages.scan;
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={messages.scan.findings}>
      <table className="table cards findings">
        <thead>
          <tr>
            {findingSorts.map((by) => (
              <th key={by} scope="col" aria-sort={sort === by ? 'ascending' : 'none'}>
                <button type="button" onClick={() => onSort(by)}>
                  {columns[by]} <span aria-hidden="true">{sort === by ? '↓' : ''}</span>
                </button>
              </th>
            ))}
            <th scope="col">{columns.installed}</th>
            <th scope="col">{columns.fixed}</th>
            <th scope="col">{columns.platforms}</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.cve} ${row.package} ${row.installedVersion} ${row.kind}`}>
              <td data-label={columns.severity}>
                <SeverityLabel severity={row.severity} />
              </td>
              <td data-label={columns.cve}>
                <Advisory row={row} />
              </td>
              <td data-label={columns.package} className="mono">
                {row.package}
              </td>
              <td data-label={columns.installed} className="mono">
                {row.installedVersion}
              </td>
              <td data-label={columns.fixed} className="mono">
                {row.fixedVersion ?? <span className="muted">{messages.scan.noFix}</span>}
              </td>
              <td data-label={columns.platforms} className="mono">
                {row.platforms.map((platform) => platform.replace('linux/', '')).join(', ')}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Advisory({ row }: { row: FindingRow }): ReactNode {
  const url = advisoryUrl(row.url);
  return (
    <>
      {url === null ? (
        <span className="mono">{row.cve}</span>
      ) : (
        <a className="mono" href={url} target="_blank" rel="noopener noreferrer">
          {row.cve}
        </a>
      )}
      {row.title !== null && (
        <p className="muted small finding-title" title={row.title}>
          {row.title}
        </p>
      )}
    </>
  );
}
