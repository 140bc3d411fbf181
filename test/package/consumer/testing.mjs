import { startEmbeddedUnleash } from 'unleash-rollout-guard/testing';

await startEmbeddedUnleash().catch((error) => console.log(error.message));
