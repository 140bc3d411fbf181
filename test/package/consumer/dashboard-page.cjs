// The page is found beside the code, also where only `dist` was copied: named on the command line.
const { once } = require('node:events');
const { createServer } = require('node:http');
const { dashboard } = require(process.argv[2] ?? 'unleash-rollout-guard/dashboard');

async function main() {
  const server = createServer(dashboard([])).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const reply = await fetch(`http://127.0.0.1:${server.address().port}/`);
  console.log(reply.status, (await reply.text()).includes('<script'));
  server.close();
  server.closeAllConnections();
}
main();
