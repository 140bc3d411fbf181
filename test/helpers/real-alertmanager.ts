import { RealServer } from './real-server.js';

/** An Alertmanager that sends every alert to one webhook, at once. */
export class RealAlertmanager {
  readonly #server: RealServer;

  private constructor(server: RealServer) {
    this.#server = server;
  }

  /** @param receiver - Where it sends alerts, and with which token. */
  static async start(
    program: string,
    receiver: { readonly url: string; readonly token: string },
  ): Promise<RealAlertmanager> {
    const server = await RealServer.start({
      name: 'Alertmanager',
      program,
      flags: (data) => [`--storage.path=${data}`, '--cluster.listen-address='],
      config: {
        route: {
          receiver: 'guard',
          group_by: ['alertname'],
          group_wait: '100ms',
          group_interval: '200ms',
          // It repeats with the next interval of a group after this time.
          repeat_interval: '1s',
        },
        receivers: [
          {
            name: 'guard',
            webhook_configs: [
              {
                url: receiver.url,
                send_resolved: true,
                http_config: { authorization: { type: 'Bearer', credentials: receiver.token } },
              },
            ],
          },
        ],
      },
    });
    return new RealAlertmanager(server);
  }

  get url(): string {
    return this.#server.url;
  }

  /** What Prometheus sends when an alert fires, or with an end in the past when it is resolved. */
  async post(labels: Record<string, string>, summary: string, startsAt: Date, endsAt?: Date): Promise<void> {
    const response = await fetch(`${this.url}/api/v2/alerts`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ labels, annotations: { summary }, startsAt, endsAt }]),
    });
    if (!response.ok) throw new Error(`Alertmanager answered ${response.status}: ${await response.text()}`);
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
