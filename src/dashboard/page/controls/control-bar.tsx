import type { RolloutView } from '../../../model/rollout-view.js';
import { ControlButton } from './control-host.js';

/** What concerns the whole rollout; what concerns one trigger stands beside it. */
export function ControlBar({ view }: { view: RolloutView }) {
  const { flag, controls, stages } = view;
  const isOn = flag?.enabled === true;
  const hasNext = isOn && stages.some(({ percentage }) => percentage > (flag.percentage ?? 100));
  return (
    <div class="controls">
      {hasNext && <ControlButton type="advance" label="Advance…" />}
      {controls.hold === undefined ? (
        <ControlButton type="hold" label="Hold…" />
      ) : (
        <ControlButton type="resume" label="Resume…" />
      )}
      {isOn && <ControlButton type="stop" label="Stop…" class="danger" />}
    </div>
  );
}
