/** Starts a server, says where, and stops it when told to. Then nothing must keep this process alive. */
import { startEmbeddedUnleash } from '../../src/testing/index.js';

process.once('message', async () => {
  await unleash.stop();
  process.disconnect();
});
const unleash = await startEmbeddedUnleash();
process.send?.(unleash.url);
