// Runs each module that it is given, one after the other, beside an Unleash at unleash.example.com; prints what each threw.
import '../examples/quickstart-world.js';
import { pathToFileURL } from 'node:url';
import { OpenFeature } from '@openfeature/server-sdk';

const problems: Record<string, string> = {};
for (const path of process.argv.slice(2)) {
  try {
    await import(pathToFileURL(path).href);
  } catch (error) {
    problems[path] = error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
  OpenFeature.clearHooks();
}
console.log(`\n${JSON.stringify(problems)}`);
process.exit();
