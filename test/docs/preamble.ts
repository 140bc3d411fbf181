// What the snippets of the documentation may use without declaring it: the application that a page is about, with as little
// as makes it run. Beside these names, a snippet without imports of its own may use what the package exports.
import { createReadStream } from 'node:fs';
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import express from 'express';
import { asyncUploadRollout, criticalErrors, RolloutGuard, UnleashProvider } from 'unleash-rollout-guard';

// Recipes that a page shows one by one.
export { discord } from '../../examples/notifications/discord.js';
export { email } from '../../examples/notifications/email.js';
export { pagerDuty } from '../../examples/notifications/pagerduty.js';
export { teams } from '../../examples/notifications/teams.js';
export { createReadStream, OpenFeature };

// The application.
export interface UploadFile {
  readonly receivedBytes: number;
}
export class FileTooLargeError extends Error {}
export const user = { id: 'ada' };
export const file: UploadFile = { receivedBytes: 1_024 };
export const path = import.meta.filename;
export const durationMs = 120;
export const request = { signal: new AbortController().signal };
export const uploadStreaming = async (_file: unknown, _signal: AbortSignal) => 'streamed';
export const uploadBuffered = async (_file: unknown, _signal: AbortSignal) => 'buffered';
export const treatment = async (input: string) => `new: ${input}`;
export const control = async (input: string) => `old: ${input}`;
export const app = express();
export const userOf = (_request: unknown): { readonly email: string } | undefined => ({
  email: 'ann@example.com',
});

// What it has beside it.
export const queue = { depth: () => 12 };
export const database = { lag: async (_options: { readonly signal: AbortSignal }) => ({ seconds: 2 }) };
export const page = async (
  _title: string,
  _message: string,
  _options: { readonly signal: AbortSignal },
) => {};
export const annotate = (_flagKey: string, _text: string) => {};
export const slow = { labels: (_arm: string) => ({ inc() {} }) };

// Unleash, as `unleash.example.com`, and the guard of the quick start.
export const url = 'https://unleash.example.com/api';
export const token = process.env.UNLEASH_ADMIN_TOKEN!;
export const unleash = { url, token, environment: 'production' };
export const provider = new UnleashProvider({
  url,
  appName: 'upload-service',
  customHeaders: { Authorization: process.env.UNLEASH_CLIENT_TOKEN! },
});
export const yourProvider = new InMemoryProvider({});
export const client = OpenFeature.getClient();

/** What `// …` at the beginning of a guard's options stands for. */
export const asInTheQuickStart = {
  flagKey: 'async-upload',
  flags: provider,
  unleash,
  rollback: [criticalErrors()],
};
export const guard = new RolloutGuard({ ...asInTheQuickStart, ...asyncUploadRollout });
