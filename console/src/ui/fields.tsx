import { useId } from 'react';
import type { ReactNode } from 'react';

/** A choice of yes or no, with its words beside it. */
export function CheckField({
  label,
  isOn,
  onChange,
}: {
  label: string;
  isOn: boolean;
  onChange: (isOn: boolean) => void;
}): ReactNode {
  return (
    <label className="check-field">
      <input type="checkbox" checked={isOn} onChange={({ target }) => onChange(target.checked)} />
      {label}
    </label>
  );
}

/** A text of several lines. */
export function LinesField({
  label,
  hint,
  error,
  value,
  onChange,
}: {
  label: string;
  hint: string;
  error?: string | undefined;
  value: string;
  onChange: (value: string) => void;
}): ReactNode {
  const id = useId();
  return (
    <div className="lines-field">
      <label htmlFor={id}>{label}</label>
      <span id={`${id}-hint`} className="muted small">
        {hint}
        {error !== undefined && <span className="field-errors"> {error}</span>}
      </span>
      <textarea
        id={id}
        aria-describedby={`${id}-hint`}
        aria-invalid={error !== undefined}
        rows={3}
        spellCheck={false}
        value={value}
        onChange={({ target }) => onChange(target.value)}
      />
    </div>
  );
}
