const { RolloutGuard, asyncUploadRollout, version } = require('unleash-rollout-guard');

if (typeof RolloutGuard !== 'function' || asyncUploadRollout.rollback.length === 0) process.exit(1);
console.log(version);
