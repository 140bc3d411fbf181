// Loaded before an example in its own process: an Unleash at unleash.example.com with the flags on for everyone.
import nock from 'nock';

nock.disableNetConnect();
nock.enableNetConnect('127.0.0.1');
const headers = { 'content-type': 'application/json', etag: '"1"' };
nock('https://unleash.example.com', { reqheaders: { authorization: 'default:production.made-up' } })
  .persist()
  .get('/api/client/features')
  .query(true)
  .reply(
    200,
    {
      version: 2,
      features: ['async-upload', 'new-search'].map((name) => ({
        name,
        type: 'release',
        enabled: true,
        project: 'default',
        strategies: [
          { name: 'flexibleRollout', parameters: { rollout: '100', stickiness: 'default', groupId: name } },
        ],
      })),
    },
    headers,
  )
  .post(/^\/api\/client\/(register|metrics)$/)
  .reply(202);
