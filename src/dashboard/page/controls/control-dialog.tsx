import { useEffect, useRef, useState } from 'preact/hooks';
import type { ControlType } from '../../../model/control.js';
import type { RolloutView } from '../../../model/rollout-view.js';
import { ApiError, type ControlRequest, sendControl } from '../live/api-client.js';
import { Notice } from '../parts/layout.js';
import { askOf } from './control-words.js';

interface Props {
  readonly flagKey: string;
  readonly view: RolloutView;
  readonly csrfToken: string;
  readonly type: ControlType;
  readonly trigger: string | undefined;
  /** @param reply - What was done; undefined when it was given up. */
  readonly onDone: (reply: string | undefined) => void;
}

const TIMES = [
  ['15 minutes', 900_000],
  ['1 hour', 3_600_000],
  ['4 hours', 14_400_000],
  ['1 day', 86_400_000],
  ['7 days', 604_800_000],
] as const;
/** What the server accepts: one line. */
const MOST_LETTERS = 1_000;

/** Says what will happen, asks for what is needed, sends it, and shows the reply. */
export function ControlDialog({ flagKey, view, csrfToken, type, trigger, onDone }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [reason, setReason] = useState('');
  const [forMs, setForMs] = useState<number>(TIMES[1][1]);
  const [refusal, setRefusal] = useState<{ title: string; message: string; canForce: boolean }>();
  const [isBusy, setBusy] = useState(false);
  const ask = askOf(type, view, trigger);
  const isForcing = refusal?.canForce === true;
  const needsReason = ask.reason === 'required' || isForcing;

  useEffect(() => {
    const opener = document.activeElement as HTMLElement | null;
    const shown = dialog.current;
    shown?.showModal();
    return () => {
      // Nothing outside of it can have the focus while it is open.
      shown?.close();
      // What opened it may be gone afterwards: a resumed rollout has no button to resume.
      (opener?.isConnected ? opener : document.querySelector<HTMLElement>('main'))?.focus();
    };
  }, []);

  const send = async () => {
    setBusy(true);
    try {
      const request = requestOf(type, trigger, reason.trim(), forMs, isForcing);
      const reply = await sendControl(flagKey, request, csrfToken);
      if (reply.accepted) return onDone(reply.message);
      setRefusal({ title: 'Not done', message: reply.message, canForce: type === 'advance' });
    } catch (error) {
      const message = error instanceof ApiError ? error.message : String(error);
      setRefusal({ title: 'It failed', message, canForce: false });
    }
    setBusy(false);
  };

  return (
    <dialog
      ref={dialog}
      aria-labelledby="control-title"
      onCancel={(event) => {
        event.preventDefault();
        if (!isBusy) onDone(undefined);
      }}
    >
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void send();
        }}
      >
        <h2 id="control-title">{ask.title}</h2>
        <p>{ask.text}</p>
        {type === 'mute' && (
          <label>
            For
            <select value={forMs} onChange={(event) => setForMs(Number(event.currentTarget.value))}>
              {TIMES.map(([name, ms]) => (
                <option key={ms} value={ms}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          Reason{needsReason ? '' : ' (optional)'}
          <input
            type="text"
            maxLength={MOST_LETTERS}
            required={needsReason}
            value={reason}
            onInput={(event) => setReason(event.currentTarget.value)}
          />
          <small>It is kept in the audit log, with your name.</small>
        </label>
        <div role="alert">
          {refusal !== undefined && (
            <Notice mood="warn" title={refusal.title}>
              {refusal.message}
              {refusal.canForce && ' To advance all the same, give a reason.'}
            </Notice>
          )}
        </div>
        <div class="buttons">
          <button type="button" class="plain" disabled={isBusy} onClick={() => onDone(undefined)}>
            Cancel
          </button>
          <button
            type="submit"
            class={ask.isDangerous || isForcing ? 'danger' : 'primary'}
            disabled={isBusy || (needsReason && reason.trim() === '')}
          >
            {isBusy ? 'Sending…' : isForcing ? 'Advance all the same' : ask.button}
          </button>
        </div>
      </form>
    </dialog>
  );
}

function requestOf(
  type: ControlType,
  trigger: string | undefined,
  reason: string,
  forMs: number,
  force: boolean,
): ControlRequest {
  const optional = reason === '' ? {} : { reason };
  switch (type) {
    case 'stop':
    case 'hold':
      return { type, reason };
    case 'resume':
      return { type, ...optional };
    case 'advance':
      return { type, ...(force && { force }), ...optional };
    case 'acknowledge':
      return { type, trigger: trigger ?? '', ...optional };
    case 'mute':
      return { type, trigger: trigger ?? '', forMs, reason };
    case 'unmute':
      return { type, trigger: trigger ?? '', ...optional };
  }
}
