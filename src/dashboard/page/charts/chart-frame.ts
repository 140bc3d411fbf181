/** Where things are in the chart: the canvas and what lies over it share these numbers. In pixels. */
export interface Panel {
  readonly top: number;
  readonly height: number;
}

export interface Frame {
  readonly left: number;
  readonly right: number;
  readonly rollout: Panel;
  readonly errorRate: Panel;
  readonly latency: Panel;
  readonly traffic: Panel;
  readonly slider: Panel;
  readonly height: number;
}

/** From top to bottom: marks (above the canvas' first panel), rollout, error rate, latency, traffic, slider. */
export function frameOf(isNarrow: boolean): Frame {
  const [left, right] = isNarrow ? [50, 12] : [64, 20];
  const [rolloutHeight, big, small] = isNarrow ? [30, 130, 80] : [34, 165, 90];
  const rollout = { top: 42, height: rolloutHeight };
  const errorRate = { top: rollout.top + rollout.height + 34, height: big };
  const latency = { top: errorRate.top + errorRate.height + 38, height: big };
  const traffic = { top: latency.top + latency.height + 38, height: small };
  const slider = { top: traffic.top + traffic.height + 34, height: isNarrow ? 28 : 24 };
  return {
    left,
    right,
    rollout,
    errorRate,
    latency,
    traffic,
    slider,
    height: slider.top + slider.height + 8,
  };
}

/** The horizontal place of a time, as a fraction of the panels' width; below 0 or above 1 when it is not in the range. */
export function placeOf(at: number, { from, to }: { from: number; to: number }): number {
  return to === from ? 0 : (at - from) / (to - from);
}
