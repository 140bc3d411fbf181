import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ControlReply, DecisionView } from '../../src/dashboard/api.js';
import type { DashboardOptions } from '../../src/dashboard/dashboard-options.js';
import { dashboardHandler } from '../../src/dashboard/handler.js';
import type { RolloutSource } from '../../src/dashboard/source.js';
import type { Control } from '../../src/model/control.js';
import type { RolloutView } from '../../src/model/rollout-view.js';
import type { RolloutHistory } from '../../src/rollups/rollup.js';

/** A flag whose view and history a test sets. */
export class SampleSource implements RolloutSource {
  readonly flagKey: string;
  readonly asked: Control[] = [];
  decided: readonly DecisionView[] = [];
  past: RolloutHistory;
  reply: (control: Control) => ControlReply = ({ type }) => ({ accepted: true, message: `Done: ${type}.` });
  #view: RolloutView;
  readonly #listeners = new Set<() => void>();

  constructor(view: RolloutView, past: RolloutHistory = { rollups: [], annotations: [] }) {
    this.flagKey = view.flagKey;
    this.#view = view;
    this.past = past;
  }

  show(change: Partial<RolloutView>): void {
    this.#view = { ...this.#view, ...change };
    for (const listener of this.#listeners) listener();
  }

  view = async (): Promise<RolloutView> => this.#view;
  history = async (): Promise<RolloutHistory> => this.past;
  decisions = async (): Promise<readonly DecisionView[]> => this.decided;

  control = async (control: Control): Promise<ControlReply> => {
    this.asked.push(control);
    return this.reply(control);
  };

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

/** A dashboard on a free port of loopback, below a path. */
export interface ServedPage {
  readonly url: string;
  /** Ends all connections and refuses new ones. */
  pause(): Promise<void>;
  resume(): Promise<void>;
  close(): Promise<void>;
}

export const MOUNT = '/ops/rollouts';

export async function servePage(
  sources: () => readonly RolloutSource[],
  options: DashboardOptions = {},
): Promise<ServedPage> {
  const handler = dashboardHandler(sources, { baseUrl: MOUNT, ...options });
  let server: Server = createServer(handler);
  const listen = async (port: number) => {
    server = createServer(handler).listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const pause = async () => {
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  const port = await listen(0);
  return {
    url: `http://127.0.0.1:${port}${MOUNT}/`,
    pause,
    resume: async () => void (await listen(port)),
    close: async () => {
      handler.close();
      await pause();
    },
  };
}
