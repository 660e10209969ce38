import { useState } from 'preact/hooks';
import { type KeyInfo, revokeKey, rotateKey } from '../api/access.ts';
import type { Api } from '../api/client.ts';
import type { Secret } from './keys-panel.tsx';
import { Question } from './question.tsx';

interface KeyQuestionProps {
  readonly api: Api;
  readonly subject: KeyInfo;
  readonly onClose: () => void;
}

export function RotateQuestion({
  api,
  subject,
  onDone,
  onClose,
}: KeyQuestionProps & { readonly onDone: (secret: Secret) => void }) {
  const [overlap, setOverlap] = useState('24h');
  return (
    <Question
      title={`Rotate the key ${subject.name}?`}
      verb="Rotate"
      act={async () => onDone({ name: subject.name, text: await rotateKey(api, subject, overlap) })}
      onClose={onClose}
    >
      <p>It gets a new secret, which is shown once.</p>
      <label>
        The secret before is accepted{' '}
        <select value={overlap} onChange={(event) => setOverlap(event.currentTarget.value)}>
          <option value="24h">for a day more</option>
          <option value="7d">for a week more</option>
          <option value="0s">no longer</option>
        </select>
      </label>
    </Question>
  );
}

export function RevokeQuestion({
  api,
  subject,
  onDone,
  onClose,
}: KeyQuestionProps & { readonly onDone: () => void }) {
  return (
    <Question
      title={`Revoke the key ${subject.name}?`}
      verb="Revoke"
      act={async () => {
        await revokeKey(api, subject);
        onDone();
      }}
      onClose={onClose}
    >
      <p>Whoever uses it is refused from now on. This cannot be taken back.</p>
    </Question>
  );
}
