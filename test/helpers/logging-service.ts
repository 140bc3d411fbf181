// A service that records outcomes, numbered on from those that an earlier run of it left, until it is killed.
import { writeSync } from 'node:fs';
import { startLogging } from '../log/logging.js';
import { outcomeOf } from '../measure/outcomes.js';

const [folder = '', ending = 'killed'] = process.argv.slice(2);
const { log, store, record, time, faults } = await startLogging(folder, {
  flushMs: 1_000_000,
  // The test counts lines.
  maxLinesPerSecond: 1_000_000,
  summaryMs: 5,
  maxFileBytes: 65_536,
  maxFiles: 10_000,
});

const report = (text: string) => writeSync(1, `${text}\n`);
const counted = () => {
  const { treatment, control } = store.snapshot(time.now).total;
  return treatment.successes + treatment.failures + control.successes + control.failures;
};

let latest = counted();
report(`restored ${latest}`);

function recordSome(): void {
  for (let count = 0; count < 7; count++) {
    latest += 1;
    record(
      outcomeOf({
        arm: latest % 3 === 0 ? 'control' : 'treatment',
        result: latest % 10 === 0 ? 'failure' : 'success',
        attributes: { request_id: String(latest) },
        at: time.now,
      }),
    );
  }
}

if (ending === 'exits') {
  await log.flush();
  recordSome();
  process.exit(0);
}
if (ending === 'closes') {
  recordSome();
  await log.close();
  report(`flushed ${latest}`);
  process.exit(0);
}
// Outcomes keep coming while others are being written.
setInterval(() => {
  time.now += 1;
  recordSome();
}, 1);
for (;;) {
  const flushed = latest;
  await log.flush();
  if (faults.length > 0) throw new Error(faults.join('\n'));
  report(`flushed ${flushed}`);
  await new Promise((resolve) => setImmediate(resolve));
}
