import { setTimeout as sleep } from 'node:timers/promises';
import type { Fault } from '../fault.js';

export const tlsFaults: readonly Fault[] = [
  {
    name: "the certificate of Unleash's address expires, and is renewed",
    area: 'TLS',
    needs: ['openssl'],
    setup: { certificateMs: 15_000 },
    inject: async ({ certificate, admin, client }) => {
      await sleep(Math.max(0, certificate!.expiresAt - Date.now()));
      // Those that exist last as long as their TCP connection, which always ends some day.
      admin.closeConnections();
      client.closeConnections();
    },
    heal: ({ certificate }) => certificate!.renew(),
    expect: { message: /"stop-failed".*CERT_HAS_EXPIRED/ },
  },
];
