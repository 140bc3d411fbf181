// What the service under test is without a guard: how long it needs is what the machine itself does to requests.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const backendUrl = process.env.BACKEND_URL!;

const server = createServer(async (_request, response) => {
  const answer = await fetch(`${backendUrl}/old`).catch(() => undefined);
  response.end(await answer?.text());
});
server.keepAliveTimeout = 600_000;
server.listen(0, '127.0.0.1', () => {
  process.send!(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.on('disconnect', () => process.exit());
