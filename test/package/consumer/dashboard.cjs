// The dashboard of the installed package, in both forms, with its page.
const assert = require('node:assert/strict');
const { InMemoryProvider } = require('@openfeature/server-sdk');
const { errorRateAbove, GuardedProvider, guardFlags } = require('unleash-rollout-guard');
const required = require('unleash-rollout-guard/dashboard');
const { served } = require('./served.cjs');

async function main() {
  const imported = await import('unleash-rollout-guard/dashboard');
  const url = 'http://127.0.0.1:1/api';
  const provider = new GuardedProvider(new InMemoryProvider({}), {
    unleash: { url, token: 'default:production.made-up' },
    logger: false,
  });
  const rules = { rollback: [errorRateAbove(0.1)] };
  const guarded = guardFlags({
    provider,
    unleash: { url, token: '*:*.made-up', environment: 'production' },
    flags: { upload: rules, search: rules },
    folder: false,
    logger: false,
  });
  await guarded.start();
  for (const handler of [guarded.dashboard(), imported.dashboard(guarded), required.dashboard(guarded)])
    assert.deepEqual((await served(handler)).sort(), ['search', 'upload']);
  assert.deepEqual(await served(guarded.get('upload').dashboard()), ['upload']);
  await guarded.close();
  console.log('served');
}

main();
