const { once } = require('node:events');
const { createServer } = require('node:http');

/** What a dashboard's page and API answer: its flags, once page and script are there. */
exports.served = async (handler) => {
  const server = createServer(handler).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const get = (path) => fetch(new URL(path, `http://127.0.0.1:${server.address().port}/`));
  try {
    const page = await (await get('/')).text();
    const script = await get(/ src="([^"]+)"/.exec(page)?.[1] ?? 'no script in the page');
    const { flags } = script.ok ? await (await get('/api/flags')).json() : { flags: [] };
    return flags.map(({ flagKey }) => flagKey);
  } finally {
    handler.close();
    server.closeAllConnections();
    server.close();
  }
};
