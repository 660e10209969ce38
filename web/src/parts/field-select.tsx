import type { StreamField } from '../model/stream.ts';

interface FieldSelectProps {
  readonly label: string;
  readonly fields: readonly StreamField[];
  readonly value: string;
  readonly onChange: (field: string) => void;
}

export function FieldSelect({ label, fields, value, onChange }: FieldSelectProps) {
  return (
    <label class="select">
      <span class="unseen">{label}</span>
      <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {fields.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
