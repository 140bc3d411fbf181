import { randomUUID } from 'node:crypto';
import { type Client, type Hook, InMemoryProvider, OpenFeature } from '@openfeature/server-sdk';
import { beforeEach, describe, expect, it } from 'vitest';
import { OutcomeHook } from '../../hooks/outcome-hook.js';
import { armOf } from '../../src/measure/exposure-ledger.js';
import { EXPOSURE_SLOT, type ExposureSink, type ExposureSlot } from '../../src/model/flags.js';
import type { Evaluation } from '../../src/model/shapes.js';

/** A guard reduced to what a hook sees of it; it remembers what was reported to it. */
class RecordingSink implements ExposureSink {
  readonly seen: { readonly evaluation: Evaluation; readonly targetingKey: string | undefined }[] = [];

  constructor(
    readonly flagKey: string,
    readonly epoch = 1,
  ) {}

  exposed(evaluation: Evaluation, targetingKey: string | undefined) {
    this.seen.push({ evaluation, targetingKey });
    const { variant, reason, errorCode } = evaluation;
    const arm = armOf(evaluation);
    const { flagKey, epoch } = this;
    return { flagKey, arm, variant, reason, errorCode, targetingKey, epoch, at: this.seen.length };
  }
}

class FaultySink extends RecordingSink {
  override exposed(): never {
    throw new Error('a fault of the guard');
  }
}

const FLAGS = {
  upload: { variants: { on: true, off: false }, defaultVariant: 'on', disabled: false },
  search: { variants: { on: true, off: false }, defaultVariant: 'off', disabled: false },
  colour: { variants: { red: '#f00' }, defaultVariant: 'red', disabled: false },
} as const;

describe('OutcomeHook', () => {
  let client: Client;

  beforeEach(async () => {
    const domain = randomUUID();
    await OpenFeature.setProviderAndWait(domain, new InMemoryProvider(FLAGS));
    client = OpenFeature.getClient(domain);
  });

  const evaluate = (slot?: ExposureSlot, flagKey = 'upload', defaultValue = false) =>
    client.getBooleanDetails(
      flagKey,
      defaultValue,
      { targetingKey: 'user-1' },
      slot && { hookHints: { [EXPOSURE_SLOT]: slot as never } },
    );

  it('reports each evaluation of its flag to a guard, with value, variant, reason and targeting key', async () => {
    const sink = new RecordingSink('upload');
    client.addHooks(new OutcomeHook(sink));

    await evaluate();

    expect(sink.seen).toMatchObject([
      { evaluation: { value: true, variant: 'on', reason: 'STATIC' }, targetingKey: 'user-1' },
    ]);
  });

  it('passes over flags that no guard watches', async () => {
    const sink = new RecordingSink('upload');
    client.addHooks(new OutcomeHook(sink));

    await evaluate(undefined, 'search');

    expect(sink.seen).toEqual([]);
  });

  it('reports to several guards their own flags, once each', async () => {
    const upload = new RecordingSink('upload');
    const search = new RecordingSink('search');
    client.addHooks(new OutcomeHook([upload, search], upload));

    await evaluate();
    await evaluate(undefined, 'search');
    await evaluate(undefined, 'search');

    expect([upload.seen.length, search.seen.length]).toEqual([1, 2]);
  });

  it.each<[string, string, boolean, Evaluation]>([
    [
      'a flag that does not exist',
      'missing',
      false,
      { value: false, variant: undefined, reason: 'ERROR', errorCode: 'FLAG_NOT_FOUND' },
    ],
    [
      'a flag of another type, the default being true',
      'colour',
      true,
      { value: true, variant: undefined, reason: 'ERROR', errorCode: 'TYPE_MISMATCH' },
    ],
  ])('captures the default value that was served for %s', async (_, flagKey, defaultValue, expected) => {
    const sink = new RecordingSink(flagKey);
    client.addHooks(new OutcomeHook(sink));

    const details = await evaluate(undefined, flagKey, defaultValue);

    expect(details.value).toBe(defaultValue);
    expect(sink.seen).toEqual([{ evaluation: expected, targetingKey: 'user-1' }]);
  });

  it.each<[string, unknown, string]>([
    ['an error with a code', Object.assign(new Error('x'), { code: 'INVALID_CONTEXT' }), 'INVALID_CONTEXT'],
    ['an error without a code', new Error('x'), 'GENERAL'],
    ['an error with an odd code', Object.assign(new Error('x'), { code: 7 }), 'GENERAL'],
    ['a thrown string', 'no', 'GENERAL'],
    ['undefined', undefined, 'GENERAL'],
  ])('reads the error code of %s', (_, error, errorCode) => {
    const sink = new RecordingSink('upload');
    const context = { flagKey: 'upload', defaultValue: false, context: {} } as never;

    new OutcomeHook(sink).error(context, error);

    expect(sink.seen[0]?.evaluation).toMatchObject({ value: false, reason: 'ERROR', errorCode });
  });

  describe('with an exposure slot in the hints', () => {
    it('fills the slot with the exposure of that very evaluation', async () => {
      client.addHooks(new OutcomeHook(new RecordingSink('upload')));
      const [first, second]: ExposureSlot[] = [{ exposure: undefined }, { exposure: undefined }];

      await Promise.all([evaluate(first), evaluate(second)]);

      expect([first?.exposure?.at, second?.exposure?.at].sort()).toEqual([1, 2]);
      expect(first?.exposure).toMatchObject({ arm: 'treatment', variant: 'on', targetingKey: 'user-1' });
    });

    it('gives the slot of one of two guards of a flag the exposure of that guard', async () => {
      const sinks = [new RecordingSink('upload', 1), new RecordingSink('upload', 2)];
      client.addHooks(new OutcomeHook(sinks));
      const slots = sinks.map((sink): ExposureSlot => ({ sink, exposure: undefined }));

      for (const slot of slots) await evaluate(slot);

      expect(slots.map(({ exposure }) => exposure?.epoch)).toEqual([1, 2]);
      expect(sinks.map(({ seen }) => seen.length)).toEqual([2, 2]);
    });

    it('leaves the slot of an unknown guard to the operation', async () => {
      client.addHooks(new OutcomeHook(new RecordingSink('upload')));
      const slot: ExposureSlot = { sink: new RecordingSink('upload'), exposure: undefined };

      await evaluate(slot);

      expect(slot.exposure).toBeUndefined();
    });

    it('corrects the slot when another hook turns the answer into the default value', async () => {
      const failing: Hook = {
        after() {
          throw new Error('a fault of another hook');
        },
      };
      const sink = new RecordingSink('upload');
      client.addHooks(failing, new OutcomeHook(sink)); // `after` hooks run last to first
      const slot: ExposureSlot = { exposure: undefined };

      const details = await evaluate(slot);

      expect(details.value).toBe(false);
      expect(sink.seen.map(({ evaluation }) => evaluation.value)).toEqual([true, false]);
      expect(slot.exposure).toMatchObject({ arm: 'control', errorCode: 'GENERAL' });
    });
  });

  it('keeps a faulty guard from the caller and from the other guards', async () => {
    const healthy = new RecordingSink('upload');
    client.addHooks(new OutcomeHook(new FaultySink('upload'), healthy));

    const details = await evaluate();

    expect(details).toMatchObject({ value: true, reason: 'STATIC' });
    expect(healthy.seen).toHaveLength(1);
  });

  it('survives hints with something else in the slot', async () => {
    client.addHooks(new OutcomeHook(new RecordingSink('upload')));

    const details = await client.getBooleanDetails(
      'upload',
      false,
      {},
      { hookHints: { [EXPOSURE_SLOT]: null as never } },
    );

    expect(details).toMatchObject({ value: true, reason: 'STATIC' });
  });

  it.each<[string, unknown[], string]>([
    ['no guard', [], 'guards: expected at least one RolloutGuard, got none'],
    ['an empty array', [[]], 'guards: expected at least one RolloutGuard, got none'],
    ['something else', [{ flagKey: 'upload' }], 'guards[0]: expected a RolloutGuard, got an object'],
    ['undefined', [undefined], 'guards[0]: expected a RolloutGuard, got nothing'],
  ])('refuses %s', (_, guards, message) => {
    expect(() => new OutcomeHook(...(guards as ExposureSink[]))).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: `Invalid OutcomeHook: ${message}` }),
    );
  });
});
