const { readFileSync } = require('node:fs');
const { RolloutGuard, asyncUploadRollout, version } = require('unleash-rollout-guard');

if (typeof RolloutGuard !== 'function' || asyncUploadRollout.rollback.length === 0) process.exit(1);
console.log(version);

// Half of the code is loaded with the first guard.
const files = Object.keys(require.cache).filter((file) => file.includes('unleash-rollout-guard'));
const bytes = files.reduce((sum, file) => sum + readFileSync(file).length, 0);
if (bytes > 600_000) throw new Error(`importing loads ${bytes} bytes: ${files.join(', ')}`);
