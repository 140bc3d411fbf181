/** Starts a server, sends its address, and stops it on the first message. Then nothing must keep this process alive. */
import { startEmbeddedUnleash } from 'unleash-rollout-guard/testing';

process.once('message', async () => {
  await unleash.stop();
  process.disconnect();
});
const unleash = await startEmbeddedUnleash();
process.send?.(unleash.url);
