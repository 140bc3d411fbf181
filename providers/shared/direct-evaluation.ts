import {
  type Client,
  type EvaluationContext,
  type Hook,
  OpenFeature,
  type ResolutionDetails,
} from '@openfeature/server-sdk';
import { defaultServed, OutcomeHook } from '../../hooks/outcome-hook.js';
import type { EvaluationContextLike, ExposureSink, FlagClient } from '../../src/model/flags.js';
import type { Evaluation, Exposure } from '../../src/model/shapes.js';

/** A provider that needs no logger of OpenFeature's. */
interface DirectProvider {
  readonly hooks?: readonly Hook[];
  resolveBooleanEvaluation(
    flagKey: string,
    defaultValue: boolean,
    context: EvaluationContext,
  ): Promise<ResolutionDetails<boolean>>;
}

/** The SDK's own; undefined until the first use. */
let ownMethod: Client['getBooleanDetails'] | undefined;

/**
 * Evaluates the sink's flag, with the default `false`, as OpenFeature's client would, and reports to the sink as the hook would: the
 * client's pipeline costs four times as much as the evaluation. Undefined wherever OpenFeature would do more than merge contexts, ask
 * this provider and run the hook that reports to `sink` alone.
 */
export function evaluateDirectly(
  provider: DirectProvider,
  client: FlagClient,
  context: EvaluationContextLike | undefined,
  sink: ExposureSink,
): Promise<Exposure> | undefined {
  ownMethod ??= OpenFeature.getClient().getBooleanDetails;
  // That of a spy, a wrapper or another copy of the SDK may do more.
  if (client.getBooleanDetails !== ownMethod) return undefined;
  const own = client as Client;
  if (!evaluatesWith(own, provider) || hasFurtherHooks(own, provider, sink)) return undefined;
  return expose(provider, sink, {
    ...OpenFeature.getContext(),
    ...OpenFeature.getTransactionContext(),
    ...own.getContext(),
    ...(context as EvaluationContext | undefined),
  });
}

function evaluatesWith({ metadata, providerStatus }: Client, provider: DirectProvider): boolean {
  // Not by its metadata: a provider that wraps it has the same.
  const registered: object = OpenFeature.getProvider(metadata.domain);
  if (registered !== provider) return false;
  return providerStatus !== 'NOT_READY' && providerStatus !== 'FATAL';
}

/** Whether any hook would do more than report the evaluation to the sink. */
function hasFurtherHooks(client: Client, { hooks }: DirectProvider, sink: ExposureSink): boolean {
  return (
    (hooks !== undefined && hooks.length > 0) ||
    OpenFeature.getHooks().some((hook) => !isOnlyFor(hook, sink)) ||
    client.getHooks().some((hook) => !isOnlyFor(hook, sink))
  );
}

function isOnlyFor(hook: object, sink: ExposureSink): boolean {
  return hook instanceof OutcomeHook && hook.reportsOnlyTo(sink);
}

async function expose(
  provider: DirectProvider,
  sink: ExposureSink,
  context: EvaluationContext,
): Promise<Exposure> {
  let evaluation: Evaluation;
  try {
    const answer = await provider.resolveBooleanEvaluation(sink.flagKey, false, context);
    evaluation = answer.errorCode ? defaultServed(false, { code: answer.errorCode }) : answer;
  } catch (error) {
    evaluation = defaultServed(false, error);
  }
  return sink.exposed(evaluation, context.targetingKey, true);
}
