// In a bundle of ES modules, the package's CommonJS has no file name of its own.
import { once } from 'node:events';
import { createServer } from 'node:http';
import { dashboard } from 'unleash-rollout-guard/dashboard';
import { RedisOutcomeStore } from 'unleash-rollout-guard/redis';

const store = new RedisOutcomeStore({ url: 'redis://127.0.0.1:1' });
const link = store.link({ flagKey: 'async-upload', environment: 'production' });
await link.open(() => {}).catch(({ message }) => console.log(message));
const server = createServer(dashboard([])).listen(0, '127.0.0.1');
await once(server, 'listening');
const reply = await fetch(`http://127.0.0.1:${server.address().port}/`);
console.log(reply.status, (await reply.text()).includes('<script'));
server.close();
server.closeAllConnections();
