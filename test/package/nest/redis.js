const { RedisOutcomeStore } = require('unleash-rollout-guard/redis');

const store = new RedisOutcomeStore({ url: 'redis://127.0.0.1:1' });
const link = store.link({ flagKey: 'async-upload', environment: 'production' });
link.open(() => {}).catch(({ message }) => console.log(message));
