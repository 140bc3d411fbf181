import { type ComponentChildren, createContext } from 'preact';
import { useContext, useState } from 'preact/hooks';
import type { ControlType } from '../../../model/control.js';
import type { RolloutView } from '../../../model/rollout-view.js';
import type { LiveState } from '../live/live-store.js';
import { ControlDialog } from './control-dialog.js';

interface Asked {
  readonly type: ControlType;
  readonly trigger?: string | undefined;
}

interface Controls {
  readonly allowed: readonly ControlType[];
  readonly ask: (asked: Asked) => void;
}

const Host = createContext<Controls>({ allowed: [], ask: () => {} });

/** Gives the page below it what the reader may ask for, and opens the dialog that asks. */
export function ControlHost(props: {
  flagKey: string;
  view: RolloutView;
  live: LiveState;
  children: ComponentChildren;
}) {
  const { flagKey, view, live, children } = props;
  const [asked, setAsked] = useState<Asked>();
  const [reply, setReply] = useState('');
  const allowed = live.csrfToken === undefined ? [] : live.controls;
  return (
    <Host.Provider value={{ allowed, ask: setAsked }}>
      {children}
      {asked !== undefined && live.csrfToken !== undefined && (
        <ControlDialog
          flagKey={flagKey}
          view={view}
          csrfToken={live.csrfToken}
          type={asked.type}
          trigger={asked.trigger}
          onDone={(message) => {
            setAsked(undefined);
            setReply(message ?? '');
          }}
        />
      )}
      <div class={reply === '' ? 'toast none' : 'toast'} role="status" data-testid="reply">
        {reply !== '' && (
          <>
            <span>{reply}</span>
            <button type="button" aria-label="Dismiss" onClick={() => setReply('')}>
              ×
            </button>
          </>
        )}
      </div>
    </Host.Provider>
  );
}

/** A button for those who may; nothing for all others. */
export function ControlButton(props: Asked & { label: string; about?: string; class?: string }) {
  const { allowed, ask } = useContext(Host);
  const { type, trigger, label, about } = props;
  if (!allowed.includes(type)) return null;
  return (
    <button
      type="button"
      class={props.class ?? 'plain'}
      aria-label={about === undefined ? undefined : `${label.replace('…', '')} ${about}`}
      aria-haspopup="dialog"
      onClick={() => ask({ type, trigger })}
    >
      {label}
    </button>
  );
}
